"""The folder of one stack: lock it for one user, and clear what a killed user has left in it."""

import os
import shutil
import time
from pathlib import Path

from steadyline.folder_lock import FolderInUse, FolderLock
from steadyline.servers.orphan import end_orphan
from steadyline.servers.process import ServerFailed, record_path

LOCK = "in-use"
PATIENCE_SECONDS = 0.5  # whoever checks whether a home is abandoned holds its lock for a moment
SERVERS = ("kafka", "redis", "triton")


class Home:
    """One folder for one user at a time; the kernel releases the lock however its holder dies."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = FolderLock(path, LOCK)

    def take(self) -> None:
        """Lock the folder; raises ServerFailed when another process, or another stack of ours, uses it."""
        end = time.monotonic() + PATIENCE_SECONDS
        while (holder := self._refused_by()) is not None:
            if time.monotonic() > end:
                raise ServerFailed(
                    f"{self.path} is in use by process {holder}: stop that one, or choose another folder"
                )
            time.sleep(0.05)
        self._lock.keep(str(os.getpid()))

    def release(self) -> None:
        """Give the folder back; harmless when it was not taken."""
        self._lock.release()

    def clear(self) -> None:
        """End the servers of a killed run and remove what they wrote; the folder must be taken first."""
        for name in SERVERS:
            end_orphan(record_path(self.path, name))
            shutil.rmtree(self.path / name, ignore_errors=True)
        shutil.rmtree(self.path / "logs", ignore_errors=True)

    def _refused_by(self) -> str | None:
        """Try to lock the folder; return the process id of who holds it, None when it is ours now."""
        try:
            self._lock.take()
        except FolderInUse as error:
            return error.text or "?"
        return None


def clear_abandoned(parent: Path) -> None:
    """Remove every home below ``parent`` whose user is gone, and end the servers that it left."""
    for path in sorted(parent.glob(f"*/{LOCK}")):
        home = Home(path.parent)
        try:
            home.take()
        except ServerFailed:
            continue
        home.clear()
        home.release()
        shutil.rmtree(path.parent, ignore_errors=True)
