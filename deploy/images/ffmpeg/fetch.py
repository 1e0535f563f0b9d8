"""``fetch.py ENV CACHE OUT``: FFmpeg's source, from the cache or one of two addresses, by its digest."""

import hashlib
import shutil
import sys
import urllib.error
import urllib.request
from pathlib import Path


def main(settings: Path, cache: Path, out: Path) -> int:
    """Put the archive at ``out``; 1 when no place has it with the right digest."""
    rows = settings.read_text(encoding="utf-8").splitlines()
    fields = dict(row.split("=", 1) for row in rows if row and not row.startswith("#"))
    kept = cache / f"ffmpeg-{fields['VERSION']}.tar.xz"
    for address in ("", fields["URL"], fields["ALSO"]):
        if address and not download(address, kept):
            continue
        if kept.exists() and digest(kept) == fields["SHA256"]:
            shutil.copy(kept, out)
            return 0
    print("FFmpeg's source is nowhere with the digest of ffmpeg.env", file=sys.stderr)
    return 1


def download(address: str, path: Path) -> bool:
    """Fetch a file; False, with the reason told, when that fails."""
    try:
        with urllib.request.urlopen(address, timeout=60) as answer, path.open("wb") as file:
            shutil.copyfileobj(answer, file)
    except (OSError, urllib.error.URLError) as error:
        print(f"{address}: {error}", file=sys.stderr)
        return False
    return True


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:])))
