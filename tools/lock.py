"""Writes the hash-locked requirements anew, without index addresses."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OPTIONS = (
    "--generate-hashes",
    "--no-emit-index-url",
    "--no-annotate",
    "--no-header",
    "--python-version",
    "3.11",
)
LOCKS: dict[str, tuple[str, ...]] = {
    "bootstrap": ("requirements/bootstrap.in",),
    "triton": ("requirements/triton.in",),
    "triton-server": ("--no-deps", "requirements/triton-server.in"),
    "dev": ("--all-extras", "--group", "dev", "pyproject.toml"),
}


def main() -> int:
    """Resolve every lock; returns the first status that is not 0."""
    for name, sources in LOCKS.items():
        output = f"requirements/{name}.lock"
        command = [str(ROOT / ".cache/tool/bin/uv"), "pip", "compile", "-q", "--upgrade", *OPTIONS, *sources]
        status = subprocess.run([*command, "-o", output], cwd=ROOT, check=False).returncode
        if status != 0:
            return status
        print(f"wrote {output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
