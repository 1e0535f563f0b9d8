"""Where a model came from: digests of its data, its bank and the code that made it."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import steadyline
import trainer

_PACKAGES = (steadyline, trainer)


def digest_of_files(files: Mapping[str, bytes]) -> str:
    """Return one SHA-256 over the names and bytes of files, whatever order the files come in."""
    total = hashlib.sha256()
    for name in sorted(files):
        total.update(f"{name}\0{hashlib.sha256(files[name]).hexdigest()}\n".encode())
    return total.hexdigest()


def code_digest() -> str:
    """Return one SHA-256 over the Python sources of the core and the trainer, as installed."""
    files: dict[str, bytes] = {}
    for package in _PACKAGES:
        root = Path(package.__path__[0])
        files.update(
            {f"{package.__name__}/{path.relative_to(root)}": path.read_bytes() for path in root.rglob("*.py")}
        )
    return digest_of_files(files)
