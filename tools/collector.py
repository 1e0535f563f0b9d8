"""``python -m tools.collector``: builds the collector of the tests with Go, from checked-in sources.

It is for those tests alone; a plant runs the official one. What is built already for these sources is kept.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tools.setup.command import CACHE, ROOT

SOURCES = ROOT / "deploy" / "collector" / "source"
FOLDER = CACHE / "otelcol"


def program() -> Path:
    """Return where the program for these sources is, or would be."""
    digest = hashlib.sha256()
    for path in sorted(SOURCES.iterdir()):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return FOLDER / f"otelcol-{digest.hexdigest()[:16]}"


def main() -> int:
    """Build what is missing; 1 without Go, or when the build fails."""
    wanted = program()
    if wanted.exists():
        return 0
    if shutil.which("go") is None:
        print("the collector is not built: please install Go 1.25 or newer", file=sys.stderr)
        return 1
    print("building the collector: some minutes", flush=True)
    FOLDER.mkdir(parents=True, exist_ok=True)
    made = wanted.with_suffix(".new")
    command = ["go", "build", "-trimpath", "-ldflags", "-s -w", "-o", str(made), "."]
    done = subprocess.run(command, cwd=SOURCES, env={**os.environ, "CGO_ENABLED": "0"}, check=False)
    if done.returncode != 0:
        print(f"the collector is not built: go ended with status {done.returncode}", file=sys.stderr)
        return 1
    made.replace(wanted)
    return 0


if __name__ == "__main__":
    sys.exit(main())
