"""A log that nobody reads: a pipe with a name, read until it is filled."""

import os
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType

BLOCK = 4096  # what a pipe takes as a whole or not at all
LOOK_SECONDS = 0.1


class FullPipe:
    """A pipe in the place of the log ``file``, from enter to exit; what the file held is put back then."""

    def __init__(self, file: Path) -> None:
        self._file, self._kept = file, file.with_suffix(".kept")
        self._filled = threading.Event()
        self._descriptor = -1

    def __enter__(self) -> "FullPipe":
        self._file.rename(self._kept)
        os.mkfifo(self._file)
        # Both ends are held, so that neither opening nor writing meets a pipe without the other one.
        self._descriptor = os.open(self._file, os.O_RDWR | os.O_NONBLOCK)
        self._reader = threading.Thread(target=self._read, name="log-reader", daemon=True)
        self._reader.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._filled.set()
        self._reader.join()
        os.close(self._descriptor)
        self._file.unlink()
        self._kept.rename(self._file)

    def fill(self) -> None:
        """Read no more, and write until the pipe takes nothing: whoever logs from now on waits."""
        self._filled.set()
        self._reader.join()
        for size in (BLOCK, 1):
            with suppress(BlockingIOError):
                while True:
                    os.write(self._descriptor, b"\n" * size)

    def _read(self) -> None:
        while not self._filled.wait(LOOK_SECONDS):
            with suppress(BlockingIOError), self._kept.open("ab") as kept:
                while read := os.read(self._descriptor, 1 << 16):
                    kept.write(read)
