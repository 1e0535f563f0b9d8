"""Replacing a file as a whole: written beside it, then renamed over it."""

import os
from pathlib import Path


def replace_file(
    path: Path, data: bytes, *, sync: bool = False, mode: int = 0o666, partial: Path | None = None
) -> None:
    """Replace ``path`` so that a reader, or a crash at any moment, sees the old file or the new one.

    ``sync`` also waits until the disk has the new data, so that it survives a loss of power. ``mode`` are the
    permissions of the new file before the umask. ``partial`` is where the data is written first,
    ``.<name>.partial`` in the same folder unless given; writers that may replace one path at the same time
    must give different ones. Raises OSError; the old file then stays and the partial one is removed.
    """
    partial = partial or path.with_name(f".{path.name}.partial")
    partial.unlink(missing_ok=True)  # left by a writer that was killed, perhaps with other permissions
    try:
        with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(data)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
