"""The folder of one stack: who uses it now, and what a killed user has left in it."""

import fcntl
import os
import shutil
import time
from pathlib import Path
from typing import IO

from steadyline.servers.orphan import end_orphan
from steadyline.servers.process import ServerFailed, record_path

LOCK = "in-use"
PATIENCE_SECONDS = 0.5  # whoever looks whether a home is abandoned holds its lock for a moment
SERVERS = ("kafka", "redis", "triton")


class Home:
    """One folder, one user at a time; the kernel gives the lock back however its holder dies."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: IO[str] | None = None

    def take(self) -> None:
        """Lock the folder; raises ServerFailed when another process (or another stack of ours) uses it."""
        end = time.monotonic() + PATIENCE_SECONDS
        while True:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = (self.path / LOCK).open("a+", encoding="utf-8")
            if _is_locked(lock) and _is_still(self.path / LOCK, lock):
                break
            lock.seek(0)
            holder = lock.read().strip() or "?"
            lock.close()
            if time.monotonic() > end:
                raise ServerFailed(
                    f"{self.path} is in use by process {holder}: stop that one, or choose another folder"
                )
            time.sleep(0.05)
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        self._lock = lock

    def release(self) -> None:
        """Give the folder back; harmless when it was not taken."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def clear(self) -> None:
        """End what a killed run has left and remove what servers wrote; the folder must be taken."""
        for name in SERVERS:
            end_orphan(record_path(self.path, name))
            shutil.rmtree(self.path / name, ignore_errors=True)
        shutil.rmtree(self.path / "logs", ignore_errors=True)


def _is_locked(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _is_still(path: Path, lock: IO[str]) -> bool:
    """True when the locked file is the one that has the name now, and not one just removed."""
    try:
        return path.stat().st_ino == os.fstat(lock.fileno()).st_ino
    except OSError:
        return False


def clear_abandoned(parent: Path) -> None:
    """Remove every home below ``parent`` whose user is gone, ending the servers it has left behind."""
    for path in sorted(parent.glob(f"*/{LOCK}")):
        home = Home(path.parent)
        try:
            home.take()
        except ServerFailed:
            continue
        home.clear()
        home.release()
        shutil.rmtree(path.parent, ignore_errors=True)
