"""``folder:`` replays the files of a folder at a rate, in a loop if asked, or watches for new files."""

import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from typing_extensions import override

from producers.sources.address import FolderOptions
from producers.sources.pacing import Pacer
from producers.sources.part_names import NO_PARTS, PartNames
from producers.sources.source import CameraLost, Capture, Encoded, FrameSource
from steadyline.clock import Clock
from steadyline.errors import PictureTooLarge, PoisonMessage, UndecodablePicture
from steadyline.picture_folder import ANY_DEPTH, find_pictures, printable
from steadyline.telemetry.logs import get_logger

log = get_logger(__name__)

_LOOK_AGAIN = timedelta(milliseconds=200)  # how often a watched folder is listed
_LISTING_SHARE = 0.1  # of the time at most is spent on listing: 100,000 files take half a second

Seen = tuple[int, int]  # size and time of change; a file is complete when two listings agree


@dataclass(frozen=True, slots=True)
class FolderPlace:
    """Whose folder it is, where it is, and how the names of its files name parts."""

    camera: str
    folder: Path
    parts: PartNames = NO_PARTS


class FolderSource(FrameSource):
    """The files of ``folder``, whatever their ending, as ``steadyline.picture_folder`` walks over them."""

    def __init__(self, place: FolderPlace, options: FolderOptions, max_bytes: int, clock: Clock) -> None:
        self._camera = place.camera
        self._folder = place.folder
        self._parts = place.parts
        self._options = options
        self._max_bytes = max_bytes
        self._clock = clock
        self._pacer = Pacer(options.fps, clock)
        self._done: dict[Path, Seen] = {}
        self._last: Path | None = None
        self._first_look = True
        self._is_told = False

    @property
    @override
    def expected_fps(self) -> float | None:
        return None if self._options.watch else self._options.fps

    @override
    def captures(self, stop: threading.Event) -> Iterator[Capture]:
        return self._watch(stop) if self._options.watch else self._replay(stop)

    def _replay(self, stop: threading.Event) -> Iterator[Capture]:
        while True:
            files = list(self._list())
            if not files:
                raise CameraLost("no_files", f"the folder {printable(self._folder)} holds no files")
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
        depth = ANY_DEPTH if self._options.recursive else 1
        try:
            found = find_pictures(self._folder, depth, endings=None)
        except OSError as error:
            why = "folder_missing" if isinstance(error, FileNotFoundError) else "io_error"
            told = f"the folder {printable(self._folder)} cannot be listed: {error.strerror}"
            raise CameraLost(why, told) from error
        if not self._is_told:
            self._is_told = True
            log.info("pictures_found", camera=self._camera, **found.fields())
        return {path: (state.st_size, state.st_mtime_ns) for path, state in found.files.items()}

    def _read(self, path: Path) -> Capture:
        moment = self._clock.now()
        try:
            content: Encoded | PoisonMessage = self._load(path)
        except OSError as error:
            content = UndecodablePicture(f"the file cannot be read: {error.strerror}")
        except PoisonMessage as error:
            content = error
        part = self._parts.of(path.name)
        return Capture(moment, content, printable(path.relative_to(self._folder)), part)

    def _load(self, path: Path) -> Encoded:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size > self._max_bytes:
                raise PictureTooLarge(f"the file has {size} bytes, the limit is {self._max_bytes}")
            data = file.read(
                self._max_bytes + 1
            )  # one byte more than allowed, because the file may have grown
        if len(data) > self._max_bytes:
            raise PictureTooLarge(f"the file has grown past the limit of {self._max_bytes} bytes")
        png = path.suffix.lower() == ".png"
        return Encoded(data, "image/png" if png else "image/jpeg", self._options.check)
