"""What a drill writes to the topic of frames: marked records, each of which a line must refuse. Pure."""

import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import count

from steadyline.contracts.frame import Frame, FrameId
from steadyline.contracts.headers import Headers, encode_headers
from steadyline.contracts.topics import Topics
from steadyline.kafka.broker import Message

MARK = "steadyline-drill"  # header of every record of a drill, in front: "<token>/<number> <what it tries>"
STRANGER = "drill"  # camera and product of the records; the line has neither
MOST_FLOOD = 90  # refused messages that no quiet line takes for a storm, see ``StormLimit``
_NOTHING = b"drill: no picture"


@dataclass(frozen=True, slots=True)
class DrillRecord:
    """One record and what it tries; ``mark`` is found again in its dead letter, ``frame`` in a score."""

    tries: str
    mark: str
    frame: str
    message: Message


@dataclass(frozen=True, slots=True)
class DrillTarget:
    """Where records go, and what they claim to be of: ``camera`` and ``product`` are the line's own.

    ``token`` tells this drill from others; ``at`` is its start and the epoch of its frames.
    """

    line: str
    topics: Topics
    camera: str
    product: str
    token: str
    at: datetime


def poison(target: DrillTarget) -> Iterator[DrillRecord]:
    """Yield one record for each way in which a writer of frames may lie."""
    numbers = count(1)

    def frame(picture: bytes = _NOTHING) -> Frame:
        return _frame(target, target.camera, target.product, next(numbers), picture)

    lies: dict[str, dict[str, str | None]] = {
        "a frame without an id": {"ce_id": None},
        "an id of another camera": {"ce_id": f"{STRANGER}/1/1"},
        "a frame of another line": {"ce_source": f"/steadyline/{STRANGER}-{target.token}/{target.camera}"},
        "a product that is not made here": {"product": STRANGER},
        "a sequence that no loop ends at": {"sequence": str(1 << 80)},
        "a time before all time": {"ce_time": "0000-00-00T00:00:00Z"},
        "a kind of message that is none": {"ce_type": STRANGER},
        "a path for a name": {"camera": "../../x"},
    }
    for tries, changes in lies.items():
        true = frame()
        yield _record(target, tries, true, headers=_changed(true, changes))
    pictures = {
        "bytes that are no picture": _NOTHING,
        "no bytes at all": b"",
        "a picture that is cut off": png_of(64, 64)[:40],
        "a picture of 20 million rows": png_of(2, 20_000_000),
        "a picture as wide as a bomb": png_of(60_000, 60_000),
    }
    for tries, picture in pictures.items():
        yield _record(target, tries, frame(picture))
    yield _record(target, "the key of another camera", frame(), key=STRANGER.encode())
    true = frame()
    yield _record(target, "two ids", true, headers=(*true.headers(), ("ce_id", b"x/1/1")))


def flood(target: DrillTarget) -> Iterator[DrillRecord]:
    """Yield MOST_FLOOD records that are as large as a writer can make them, a third of each kind."""
    kinds: tuple[tuple[str, bytes, Headers], ...] = (
        ("20,000 headers", _NOTHING, tuple((f"h{number}", b"") for number in range(20_000))),
        ("a header of 4 MiB", _NOTHING, (("h", bytes(4 << 20)),)),
        ("a picture of 6 MiB of a camera that is not there", bytes(6 << 20), ()),
    )
    for number in range(MOST_FLOOD):
        tries, picture, more = kinds[number % len(kinds)]
        frame = _frame(target, STRANGER, STRANGER, number + 1, picture)
        yield _record(target, tries, frame, headers=(*frame.headers(), *more))


def png_of(width: int, height: int) -> bytes:
    """Return a PNG that announces so many gray pixels, all black, and holds at most 64 KiB of them."""
    rows = zlib.compress(bytes(min((width + 1) * height, 1 << 16)), 9)
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", rows), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    )


def _frame(target: DrillTarget, camera: str, product: str, number: int, picture: bytes) -> Frame:
    identity = FrameId(camera, int(target.at.timestamp()) * 10**9, number)
    return Frame(identity, target.line, product, target.at, "image/png", picture)


def _changed(frame: Frame, changes: Mapping[str, str | None]) -> Headers:
    return encode_headers({**{name: value.decode() for name, value in frame.headers()}, **changes})


def _record(
    target: DrillTarget, tries: str, frame: Frame, key: bytes | None = None, headers: Headers | None = None
) -> DrillRecord:
    mark = f"{target.token}/{frame.id.sequence} {tries}"
    marked = ((MARK, mark.encode()), *(frame.headers() if headers is None else headers))
    message = Message(target.topics.frames.name, frame.key if key is None else key, frame.picture, marked)
    return DrillRecord(tries, mark, str(frame.id), message)
