"""A folder for one process at a time; the kernel gives it back however its holder dies."""

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import IO


class FolderInUse(Exception):
    """Another process, or another lock of this one, holds the folder. ``text`` is what it keeps there."""

    def __init__(self, folder: Path, text: str) -> None:
        super().__init__(f"{folder} is in use")
        self.text = text


class FolderLock:
    """An exclusive lock (flock) on the file ``name`` in ``folder``, which also keeps a text for its holders.

    The text outlives the lock: the next holder, and whoever is refused, can read it.
    """

    def __init__(self, folder: Path, name: str = "lock") -> None:
        self._folder, self._path = folder, folder / name
        self._file: IO[str] | None = None

    def take(self) -> None:
        """Lock the folder, which is made when it is missing; returns or raises at once.

        Raises FolderInUse, or OSError when the folder cannot be written to.
        """
        while self._file is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            file = self._path.open("a+", encoding="utf-8")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                with file:
                    raise FolderInUse(self._folder, _text_of(file)) from error
            except OSError:
                file.close()
                raise
            if self._is_still(file):
                self._file = file
            else:
                file.close()

    def release(self) -> None:
        """Give the folder back; harmless when it was not taken. The text stays."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def read(self) -> str:
        """Return the text, "" when none was ever kept; the folder must be taken."""
        assert self._file is not None
        return _text_of(self._file)

    def keep(self, text: str) -> None:
        """Replace the text; the folder must be taken."""
        assert self._file is not None
        self._file.truncate(0)
        self._file.write(text)
        self._file.flush()

    def __enter__(self) -> "FolderLock":
        self.take()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def _is_still(self, file: IO[str]) -> bool:
        """True when the locked file is the one that has the name now, and not one just removed."""
        try:
            return self._path.stat().st_ino == os.fstat(file.fileno()).st_ino
        except FileNotFoundError:
            return False


def _text_of(file: IO[str]) -> str:
    file.seek(0)
    return file.read().strip()
