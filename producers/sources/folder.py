"""``folder:`` replays the files of a folder at a rate, in a loop if asked, or watches for new files."""

import os
import stat
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from typing_extensions import override

from producers.sources.address import FolderOptions
from producers.sources.pacing import Pacer
from producers.sources.source import CameraLost, Capture, Encoded, FrameSource
from steadyline.clock import Clock
from steadyline.errors import PictureTooLarge, PoisonMessage, UndecodablePicture

_LOOK_AGAIN = timedelta(milliseconds=200)  # how often a watched folder is listed
_LISTING_SHARE = 0.1  # of the time at most is spent on listing: 100,000 files take half a second

Seen = tuple[int, int]  # size and time of change; a file is complete when two listings agree


class FolderSource(FrameSource):
    """The regular files of ``folder`` that do not begin with a dot, sorted by name; links are followed."""

    def __init__(self, folder: Path, options: FolderOptions, max_bytes: int, clock: Clock) -> None:
        self._folder = folder
        self._options = options
        self._max_bytes = max_bytes
        self._clock = clock
        self._pacer = Pacer(options.fps, clock)
        self._done: dict[Path, Seen] = {}
        self._last: Path | None = None
        self._first_look = True

    @property
    @override
    def expected_fps(self) -> float | None:
        return None if self._options.watch else self._options.fps

    @override
    def captures(self, stop: threading.Event) -> Iterator[Capture]:
        return self._watch(stop) if self._options.watch else self._replay(stop)

    def _replay(self, stop: threading.Event) -> Iterator[Capture]:
        while True:
            files = sorted(self._list())
            if not files:
                raise CameraLost("no_files", f"the folder {self._folder} holds no files")
            for path in files:
                if self._last is not None and path <= self._last:
                    continue
                if self._pacer.wait(stop):
                    return
                self._last = path
                yield self._read(path)
            self._last = None
            if not self._options.loop:
                return

    def _watch(self, stop: threading.Event) -> Iterator[Capture]:
        before: dict[Path, Seen] = {}
        while not stop.is_set():
            started = self._clock.monotonic()
            now = self._list()
            took = timedelta(seconds=self._clock.monotonic() - started)
            if self._first_look and not self._options.existing:
                self._done = dict(now)
            self._first_look = False
            self._done = {path: seen for path, seen in self._done.items() if path in now}
            ready = [path for path in now if before.get(path) == now[path] != self._done.get(path)]
            for path in sorted(ready):
                if self._pacer.wait(stop):
                    return
                self._done[path] = now[path]
                yield self._read(path)
            before = now
            self._clock.wait(stop, max(_LOOK_AGAIN, took / _LISTING_SHARE))

    def _list(self) -> dict[Path, Seen]:
        try:
            found = self._folder.rglob("*") if self._options.recursive else self._folder.iterdir()
            entries = [path for path in found if not path.name.startswith(".")]
        except OSError as error:
            why = "folder_missing" if isinstance(error, FileNotFoundError) else "io_error"
            raise CameraLost(why, f"the folder {self._folder} cannot be listed: {error}") from error
        files: dict[Path, Seen] = {}
        for path in entries:
            try:
                state = path.stat()
            except OSError:
                continue  # removed since it was listed, or a broken link
            if stat.S_ISREG(state.st_mode):
                files[path] = (state.st_size, state.st_mtime_ns)
        return files

    def _read(self, path: Path) -> Capture:
        moment = self._clock.now()
        try:
            content: Encoded | PoisonMessage = self._load(path)
        except OSError as error:
            content = UndecodablePicture(f"{path.name} cannot be read: {error.strerror}")
        except PoisonMessage as error:
            content = error
        return Capture(moment, content)

    def _load(self, path: Path) -> Encoded:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size > self._max_bytes:
                raise PictureTooLarge(f"{path.name} has {size} bytes, the limit is {self._max_bytes}")
            data = file.read(
                self._max_bytes + 1
            )  # one byte more than allowed, because the file may have grown
        if len(data) > self._max_bytes:
            raise PictureTooLarge(f"{path.name} has grown past the limit of {self._max_bytes} bytes")
        png = path.suffix.lower() == ".png"
        return Encoded(data, "image/png" if png else "image/jpeg", self._options.check)
