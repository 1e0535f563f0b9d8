"""Segments of the spool: files of records, each a whole frame, that can be read again after a crash.

A record is ``magic, length of the body, CRC-32 of the body``. The body is ``epoch, sequence, captured (µs),
length of the meta data``, then JSON [line, product, media type, traceparent] and perhaps the part, then the
picture.
"""

import json
import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from steadyline.contracts.frame import Frame, FrameId

_SUFFIX = ".frames"
_HEAD = struct.Struct("<4sII")
_BODY = struct.Struct("<QQqI")
_MAGIC = b"slf1"
_LARGEST = 64 << 20  # bytes of a record at most: a larger length is damaged
_EPOCH_START = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class RecordLocation:
    """Where a record is: its file, its offset, and its length with the head."""

    path: Path
    offset: int
    length: int


def pack(frame: Frame) -> bytes:
    """Return ``frame`` as a record."""
    # A release that knows no parts reads four of them: it can still read the frames without one.
    part = () if frame.part is None else (frame.part,)
    meta = json.dumps([frame.line, frame.product, frame.content_type, frame.traceparent, *part]).encode()
    captured = (frame.captured_at - _EPOCH_START) // _MICROSECOND
    body = _BODY.pack(frame.id.epoch, frame.id.sequence, captured, len(meta)) + meta + frame.picture
    return _HEAD.pack(_MAGIC, len(body), zlib.crc32(body)) + body


def read_frame(camera: str, place: RecordLocation) -> Frame:
    """Return the frame at ``place``. Raises ValueError when it is damaged, OSError when it cannot be read."""
    with place.path.open("rb") as file:
        record = os.pread(file.fileno(), place.length, place.offset)
    if len(record) < place.length:
        raise ValueError(f"{place.path} ends within the record at {place.offset}")
    _magic, _length, checksum = _HEAD.unpack_from(record)
    body = record[_HEAD.size :]
    if zlib.crc32(body) != checksum:
        raise ValueError(f"the record at {place.offset} of {place.path} does not match its checksum")
    epoch, sequence, captured, length = _BODY.unpack_from(body)
    line, product, content_type, traceparent, *rest = json.loads(body[_BODY.size : _BODY.size + length])
    moment = _EPOCH_START + captured * _MICROSECOND
    picture = body[_BODY.size + length :]
    identity, part = FrameId(camera, epoch, sequence), rest[0] if rest else None
    return Frame(identity, line, product, moment, content_type, picture, traceparent, part)


def scan(camera: str, path: Path) -> Iterator[tuple[FrameId, RecordLocation]]:
    """Yield the records of a segment by their heads, up to the first that was not written whole."""
    with path.open("rb") as file:
        size, offset = os.fstat(file.fileno()).st_size, 0
        while offset + _HEAD.size + _BODY.size <= size:
            start = os.pread(file.fileno(), _HEAD.size + _BODY.size, offset)
            magic, length, _checksum = _HEAD.unpack_from(start)
            whole = _HEAD.size + length
            if magic != _MAGIC or not _BODY.size <= length <= _LARGEST or offset + whole > size:
                return
            epoch, sequence, _captured, _meta = _BODY.unpack_from(start, _HEAD.size)
            yield FrameId(camera, epoch, sequence), RecordLocation(path, offset, whole)
            offset += whole


def segment_path(folder: Path, first_sequence: int) -> Path:
    """Return the path of the segment that begins with ``first_sequence``; names sort like sequences."""
    return folder / f"{first_sequence:020d}{_SUFFIX}"


def segments(folder: Path) -> list[Path]:
    """Return the segments of a folder in order."""
    return sorted(folder.glob(f"*{_SUFFIX}"))
