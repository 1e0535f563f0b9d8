"""The frame message: an encoded picture as the value, its identity in the headers."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from typing_extensions import override

from steadyline.contracts.headers import (
    SPEC_VERSION,
    Headers,
    decode_headers,
    encode_headers,
    format_time,
    parse_time,
    require_exactly,
    require_key,
    require_line,
    required,
    required_integer,
)
from steadyline.errors import MalformedHeaders

TYPE = "com.steadyline.frame.v1"
_NUMBER = re.compile(r"[1-9][0-9]{0,18}")
ContentType = Literal["image/jpeg", "image/png"]
NAME = re.compile(r"[a-z0-9](?:[a-z0-9_.-]{0,62}[a-z0-9])?")  # camera, product and line names
MOST_PART = 64  # characters of a part's name
_SOURCE = re.compile(rf"/steadyline/(?P<line>{NAME.pattern})/(?P<camera>{NAME.pattern})")


@dataclass(frozen=True, slots=True)
class FrameId:
    """``<camera>/<epoch>/<sequence>``: epoch is a producer's start in ns, sequence counts captures from 1."""

    camera: str
    epoch: int
    sequence: int

    @property
    def began(self) -> datetime:
        """When the epoch began, by its producer's clock, to the microsecond; it may be rounded up."""
        return datetime.fromtimestamp(self.epoch / 1e9, UTC)

    @override
    def __str__(self) -> str:
        return f"{self.camera}/{self.epoch}/{self.sequence}"

    @staticmethod
    def parse(text: str) -> "FrameId":
        """Return the id that ``text`` gives; raises MalformedHeaders when it is not a frame id."""
        camera, _, rest = text.partition("/")
        epoch, _, sequence = rest.partition("/")
        if not (NAME.fullmatch(camera) and _NUMBER.fullmatch(epoch) and _NUMBER.fullmatch(sequence)):
            raise MalformedHeaders(f"{text[:120]!r} is no frame id (camera/epoch/sequence)")
        if max(int(epoch), int(sequence)) >= 1 << 63:
            raise MalformedHeaders(f"{text!r} has numbers that 64 bits do not hold")
        return FrameId(camera, int(epoch), int(sequence))


@dataclass(frozen=True, slots=True)
class Frame:
    """One captured frame; ``picture`` is the encoded JPEG or PNG, which is not checked yet.

    ``part`` names the workpiece that it shows, where that is known: its serial number, for example.
    """

    id: FrameId
    line: str
    product: str
    captured_at: datetime
    content_type: ContentType
    picture: bytes
    traceparent: str | None = None
    part: str | None = None

    @property
    def key(self) -> bytes:
        """The Kafka key, which keeps the frames of a camera in order."""
        return self.id.camera.encode()

    def headers(self) -> Headers:
        """Return the Kafka headers of the frame."""
        return encode_headers(
            {
                "ce_specversion": SPEC_VERSION,
                "ce_id": str(self.id),
                "ce_type": TYPE,
                "ce_source": f"/steadyline/{self.line}/{self.id.camera}",
                "ce_subject": self.product,
                "ce_time": format_time(self.captured_at),
                "content-type": self.content_type,
                "camera": self.id.camera,
                "product": self.product,
                "sequence": str(self.id.sequence),
                "epoch": str(self.id.epoch),
                "part": self.part,
                "traceparent": self.traceparent,
            }
        )

    @staticmethod
    def decode(value: bytes | None, headers: Sequence[tuple[str, bytes | None]]) -> "Frame":
        """Return the frame; raises MalformedHeaders (poison) when a header is missing or wrong.

        The picture itself is not checked here: ``steadyline.picture`` checks it before anything decodes it.
        """
        fields = decode_headers(headers)
        require_exactly(fields, "ce_specversion", SPEC_VERSION)
        require_exactly(fields, "ce_type", TYPE)
        content_type = required(fields, "content-type")
        if content_type not in ("image/jpeg", "image/png"):
            raise MalformedHeaders(f"content-type {content_type[:80]!r} is neither image/jpeg nor image/png")
        identity = FrameId(
            _name(fields, "camera"), required_integer(fields, "epoch"), required_integer(fields, "sequence")
        )
        require_exactly(fields, "ce_id", str(identity))
        product = _name(fields, "product")
        require_exactly(fields, "ce_subject", product)
        return Frame(
            identity,
            _line_of(required(fields, "ce_source"), identity.camera),
            product,
            parse_time(required(fields, "ce_time")),
            "image/jpeg" if content_type == "image/jpeg" else "image/png",
            value or b"",
            fields.get("traceparent"),
            _part(fields),
        )

    def check_origin(self, line: str, key: bytes | None) -> None:
        """Raise ForeignLine when the frame is of another line, MalformedHeaders when its key is another's.

        The key decides which frames are kept in order: one that is not the camera's own breaks that order.
        """
        require_line(self.line, line)
        require_key(key, self.id.camera)


def is_part_name(text: str) -> bool:
    """Tell whether ``text`` may name a part: 1 to 64 characters that can be printed, no space at either end.

    Serial numbers are given by others, so that capitals, slashes and letters of any script are theirs.
    """
    return 0 < len(text) <= MOST_PART and text.isprintable() and text == text.strip()


def _line_of(source: str, camera: str) -> str:
    match = _SOURCE.fullmatch(source)
    if match is None or match["camera"] != camera:
        raise MalformedHeaders(f"ce_source {source[:120]!r} is not /steadyline/<line>/{camera}")
    return match["line"]


def _part(fields: dict[str, str]) -> str | None:
    part = fields.get("part")
    if part is not None and not is_part_name(part):
        raise MalformedHeaders(f"header 'part': {part[:80]!r} is no name of a part")
    return part


def _name(fields: dict[str, str], header: str) -> str:
    value = required(fields, header)
    if not NAME.fullmatch(value):
        raise MalformedHeaders(f"header {header!r}: {value[:80]!r} is no name (a-z, 0-9, '.', '_', '-')")
    return value
