"""The frame message: an encoded picture as the value, its identity in the headers."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from typing_extensions import override

from steadyline.contracts.headers import (
    SPEC_VERSION,
    Headers,
    decode_headers,
    encode_headers,
    format_time,
    parse_time,
    required,
    required_integer,
)
from steadyline.errors import MalformedHeaders

TYPE = "com.steadyline.frame.v1"
_NUMBER = re.compile(r"[1-9][0-9]{0,18}")
ContentType = Literal["image/jpeg", "image/png"]
NAME = re.compile(r"[a-z0-9](?:[a-z0-9_.-]{0,62}[a-z0-9])?")  # camera, product and line names


@dataclass(frozen=True, slots=True)
class FrameId:
    """``<camera>/<epoch>/<sequence>``: epoch is a producer's start in ns, sequence counts captures from 1."""

    camera: str
    epoch: int
    sequence: int

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
    """One captured frame; ``picture`` is the encoded JPEG or PNG, which is not checked yet."""

    id: FrameId
    line: str
    product: str
    captured_at: datetime
    content_type: ContentType
    picture: bytes
    traceparent: str | None = None

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
                "traceparent": self.traceparent,
            }
        )

    @staticmethod
    def decode(value: bytes | None, headers: Sequence[tuple[str, bytes | None]]) -> "Frame":
        """Return the frame; raises MalformedHeaders (poison) when a header is missing or wrong.

        The picture itself is not checked here: ``steadyline.picture`` checks it before anything decodes it.
        """
        fields = decode_headers(headers)
        if required(fields, "ce_type") != TYPE:
            raise MalformedHeaders(f"ce_type is {fields['ce_type']!r}, not {TYPE!r}")
        content_type = required(fields, "content-type")
        if content_type not in ("image/jpeg", "image/png"):
            raise MalformedHeaders(f"content-type {content_type[:80]!r} is neither image/jpeg nor image/png")
        identity = FrameId(
            _name(fields, "camera"), required_integer(fields, "epoch"), required_integer(fields, "sequence")
        )
        if required(fields, "ce_id") != str(identity):
            raise MalformedHeaders(f"ce_id {fields['ce_id'][:120]!r} does not match {identity}")
        source = required(fields, "ce_source").split("/")
        if len(source) != 4 or source[1] != "steadyline":
            raise MalformedHeaders(
                f"ce_source {fields['ce_source'][:120]!r} is not /steadyline/<line>/<camera>"
            )
        return Frame(
            identity,
            source[2],
            _name(fields, "product"),
            parse_time(required(fields, "ce_time")),
            "image/jpeg" if content_type == "image/jpeg" else "image/png",
            value or b"",
            fields.get("traceparent"),
        )


def _name(fields: dict[str, str], header: str) -> str:
    value = required(fields, header)
    if not NAME.fullmatch(value):
        raise MalformedHeaders(f"header {header!r}: {value[:80]!r} is no name (a-z, 0-9, '.', '_', '-')")
    return value
