"""Turn a capture into the encoded picture of a frame: check it, or encode it as the line file says."""

import re
from dataclasses import dataclass
from typing import Literal

from producers.sources.source import Capture, Encoded
from steadyline.contracts.frame import ContentType
from steadyline.errors import InvalidConfiguration, PictureTooLarge, PoisonMessage
from steadyline.picture import PictureLimits, Pixels, encode_jpeg, encode_png, inspect


@dataclass(frozen=True, slots=True)
class Encoding:
    """How pixels are encoded; ``quality`` is for JPEG only."""

    format: Literal["jpeg", "png"]
    quality: int = 92

    @staticmethod
    def parse(camera: str, text: str) -> "Encoding":
        """Parse ``png``, ``jpeg`` or ``jpeg:QUALITY``; raises InvalidConfiguration."""
        match = re.fullmatch(r"png|jpeg(?::(\d{1,3}))?", text)
        quality = int(match[1]) if match and match[1] else 92
        if match is None or not 1 <= quality <= 100:
            raise InvalidConfiguration(
                f"camera {camera}: encode {text!r} is neither png nor jpeg:1 to jpeg:100"
            )
        return Encoding("png" if text == "png" else "jpeg", quality)


@dataclass(frozen=True, slots=True)
class EncodedPicture:
    """The bytes to publish, and what whoever decodes them will take for granted (see ``PictureInfo``)."""

    data: bytes
    content_type: ContentType
    assumed: tuple[str, ...] = ()


def encoded_picture(
    capture: Capture, encoding: Encoding, limits: PictureLimits, max_message: int
) -> EncodedPicture:
    """Return the picture to publish.

    Encoded pictures pass through unchanged. Raises the PoisonMessage that says why the frame is dropped.
    ``max_message`` bytes also bound a picture that is not checked, because the broker would refuse more.
    """
    content = capture.content
    if isinstance(content, PoisonMessage):
        raise content
    if isinstance(content, Encoded):
        found = _passed_through(content, limits)
    else:
        found = _encode(content, encoding, limits)
    if len(found.data) > max_message:
        raise PictureTooLarge(f"the picture has {len(found.data)} bytes, a message holds {max_message}")
    return found


def _passed_through(content: Encoded, limits: PictureLimits) -> EncodedPicture:
    if not content.check:
        return EncodedPicture(content.data, content.content_type)
    info = inspect(content.data, limits)
    return EncodedPicture(content.data, info.content_type, info.assumed)


def _encode(pixels: Pixels, encoding: Encoding, limits: PictureLimits) -> EncodedPicture:
    limits.check_size(pixels.shape[1], pixels.shape[0])
    data = encode_png(pixels) if encoding.format == "png" else encode_jpeg(pixels, encoding.quality)
    if len(data) > limits.max_bytes:
        raise PictureTooLarge(f"the encoded picture has {len(data)} bytes, the limit is {limits.max_bytes}")
    return EncodedPicture(data, "image/png" if encoding.format == "png" else "image/jpeg")
