"""The spool: a buffer on disk that keeps each frame from its capture until the broker has it.

Each record goes into the page cache with one write. The process may die at any point and loses nothing. A
loss of power may lose frames: syncing every frame would cost more than the camera's whole budget.
"""

import os
import threading
from collections import deque
from collections.abc import Container
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from typing_extensions import override

from producers.delivery.buffer import Buffer, Drop
from producers.delivery.segment import RecordLocation, pack, read_frame, scan, segment_path, segments
from steadyline.contracts.frame import Frame, FrameId
from steadyline.telemetry.logs import get_logger

SEGMENT_BYTES = 8 << 20  # disk space is freed in steps of this size
SEGMENTS = 8  # or of this share of a spool that is not much larger

log = get_logger(__name__)


@dataclass(slots=True, eq=False)
class _Segment:
    path: Path
    size: int = 0
    is_complete: bool = False  # True when nothing more is appended
    open_frames: set[int] = field(default_factory=set)  # sequences neither published nor dropped


class Spool(Buffer):
    """Frames in segments under ``<root>/<epoch>/``; what ``most_bytes`` or the disk refuse is dropped."""

    def __init__(self, camera: str, root: Path, most_bytes: int, drop: Drop) -> None:
        self._camera = camera
        self._root = root
        self._most = most_bytes
        self._segment_bytes = min(SEGMENT_BYTES, most_bytes // SEGMENTS)
        self._drop = drop
        self._changed = threading.Condition()
        self._unread: deque[tuple[FrameId, RecordLocation]] = deque()
        self._segment_of: dict[FrameId, _Segment] = {}
        self._current: _Segment | None = None
        self._current_epoch = 0
        self._descriptor = -1
        self._bytes = 0

    @override
    def put(self, frame: Frame, stop: threading.Event) -> None:
        record = pack(frame)
        with self._changed:
            reason = (
                "spool_full" if self._bytes + len(record) > self._most else self._append(frame.id, record)
            )
            self._changed.notify_all()
        if reason:
            self._drop(frame.id, reason)

    @override
    def take(self, wait: timedelta) -> Frame | None:
        with self._changed:
            if not self._unread:
                self._changed.wait(wait.total_seconds())
            if not self._unread:
                return None
            identity, place = self._unread.popleft()
        try:
            return read_frame(self._camera, place)
        except (OSError, ValueError) as error:
            log.error("spool_corrupt", frame=str(identity), error=str(error))
        self._drop(identity, "spool_corrupt")
        self.settle(identity)
        return None

    @override
    def settle(self, frame: FrameId) -> None:
        with self._changed:
            segment = self._segment_of.pop(frame, None)
            if segment is not None:
                segment.open_frames.discard(frame.sequence)
                self._delete_if_done(segment)

    @property
    @override
    def size_bytes(self) -> int:
        return self._bytes

    @property
    @override
    def is_blocked(self) -> bool:
        return False

    def find(self, epoch: int) -> list[tuple[FrameId, RecordLocation]]:
        """Return what an earlier run left of ``epoch``, in order. Raises OSError."""
        return [entry for path in segments(self._root / str(epoch)) for entry in scan(self._camera, path)]

    def adopt(self, found: list[tuple[FrameId, RecordLocation]], wanted: Container[int]) -> None:
        """Put the ``wanted`` sequences of an earlier run first; call this for the newest epoch first."""
        with self._changed:
            by_path: dict[Path, _Segment] = {}
            for identity, place in found:
                segment = by_path.setdefault(place.path, _Segment(place.path, is_complete=True))
                segment.size += place.length
                self._bytes += place.length
                if identity.sequence in wanted:
                    segment.open_frames.add(identity.sequence)
                    self._segment_of[identity] = segment
            self._unread.extendleft(entry for entry in reversed(found) if entry[0].sequence in wanted)
            for segment in by_path.values():
                self._delete_if_done(segment)
            self._changed.notify_all()

    @override
    def close(self, reason: str) -> None:
        """Close the file that is being written; spooled frames stay for the next run."""
        with self._changed:
            self._finish_segment()

    def _append(self, frame: FrameId, record: bytes) -> str:
        """Write one record; return the reason when that failed, otherwise an empty text."""
        try:
            segment = self._segment_for(frame)
            written = os.write(self._descriptor, record)
        except OSError as error:
            log.error("spool_failed", frame=str(frame), error=str(error))
            return "spool_failed"
        place = RecordLocation(segment.path, segment.size, written)
        segment.size += written
        self._bytes += written
        if written < len(record):  # the disk is full; a reader would stop here, so nothing may follow
            self._finish_segment()
            return "spool_failed"
        segment.open_frames.add(frame.sequence)
        self._segment_of[frame] = segment
        self._unread.append((frame, place))
        if segment.size >= self._segment_bytes:
            # At once: a segment that waited for the next frame would fill a small spool with sent ones.
            self._finish_segment()
        return ""

    def _segment_for(self, frame: FrameId) -> _Segment:
        if self._current is None or self._current_epoch != frame.epoch:
            self._finish_segment()
            path = segment_path(self._root / str(frame.epoch), frame.sequence)
            self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            self._current, self._current_epoch = _Segment(path), frame.epoch
        return self._current

    def _finish_segment(self) -> None:
        if self._current is not None:
            os.close(self._descriptor)
            segment, self._current, self._descriptor = self._current, None, -1
            segment.is_complete = True
            self._delete_if_done(segment)

    def _delete_if_done(self, segment: _Segment) -> None:
        if segment.is_complete and not segment.open_frames:
            self._bytes -= segment.size
            try:
                segment.path.unlink(missing_ok=True)
            except OSError as error:  # the folder is removed when its account is closed
                log.warning("segment_left", path=str(segment.path), error=str(error))
