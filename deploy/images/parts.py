"""``parts.py SERVICE FOLDER OUT``: completes the list of parts of an image.

``FOLDER/python.json`` lists what Python has. Added are Debian's packages, as dpkg lists them, and, for the
producers, FFmpeg as ``FOLDER/ffmpeg.env`` names it. Run while an image is built; needs nothing but Python.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

DPKG = Path("/var/lib/dpkg/status")


def main(service: str, folder: Path, out: Path) -> None:
    """Write the whole list to ``out``."""
    parts: dict[str, Any] = json.loads((folder / "python.json").read_text(encoding="utf-8"))
    components: list[dict[str, Any]] = parts.setdefault("components", [])
    components += debian_packages(DPKG.read_text(encoding="utf-8"))
    if service == "producers":
        components.append(ffmpeg((folder / "ffmpeg.env").read_text(encoding="utf-8")))
    name = f"steadyline-{service}"
    parts.setdefault("metadata", {})["component"] = {"type": "container", "bom-ref": name, "name": name}
    out.write_text(json.dumps(parts, indent=1), encoding="utf-8")
    print(f"{len(components)} parts in {out}")


def debian_packages(status: str) -> Iterator[dict[str, Any]]:
    """Yield the installed packages of dpkg's own record."""
    for stanza in status.split("\n\n"):
        rows = (row.partition(": ") for row in stanza.splitlines() if not row.startswith(" "))
        fields = {key: value for key, _, value in rows}
        if not fields.get("Status", "").endswith(" installed"):
            continue
        name, version, kind = (fields.get(key, "") for key in ("Package", "Version", "Architecture"))
        purl = f"pkg:deb/debian/{name}@{version}?arch={kind}"
        yield {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}


def ffmpeg(text: str) -> dict[str, Any]:
    """Return FFmpeg as it is built for the producers."""
    fields = dict(row.split("=", 1) for row in text.splitlines() if row and not row.startswith("#"))
    version = fields["VERSION"]
    return {
        "type": "library",
        "bom-ref": f"ffmpeg@{version}",
        "name": "ffmpeg",
        "version": version,
        "licenses": [{"license": {"id": "LGPL-2.1-or-later"}}],
        "hashes": [{"alg": "SHA-256", "content": fields["SHA256"]}],
        "externalReferences": [{"type": "source-distribution", "url": fields["URL"]}],
    }


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
