"""Turn a capture into the encoded picture of a frame: check it, or encode it as the line file says."""

import re
from dataclasses import dataclass
from typing import Literal

from producers.sources.source import Capture, Encoded
from steadyline.contracts.frame import ContentType
from steadyline.errors import InvalidConfiguration, PictureTooLarge, PictureTooManyPixels, PoisonMessage
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


def encoded_picture(
    capture: Capture, encoding: Encoding, limits: PictureLimits, max_message: int
) -> tuple[bytes, ContentType]:
    """Return the bytes to publish and their media type.

    Encoded pictures pass through unchanged. Raises the PoisonMessage that says why the frame is dropped.
    ``max_message`` bytes also bound a picture that is not checked, because the broker would refuse more.
    """
    content = capture.content
    if isinstance(content, PoisonMessage):
        raise content
    if isinstance(content, Encoded):
        data, content_type = _passed_through(content, limits)
    else:
        data, content_type = _encode(content, encoding, limits)
    if len(data) > max_message:
        raise PictureTooLarge(f"the picture has {len(data)} bytes, a message holds {max_message}")
    return data, content_type


def _passed_through(content: Encoded, limits: PictureLimits) -> tuple[bytes, ContentType]:
    if not content.check:
        return content.data, content.content_type
    return content.data, inspect(content.data, limits).content_type


def _encode(pixels: Pixels, encoding: Encoding, limits: PictureLimits) -> tuple[bytes, ContentType]:
    count = pixels.shape[0] * pixels.shape[1]
    if count > limits.max_pixels:
        raise PictureTooManyPixels(f"the picture has {count} pixels, the limit is {limits.max_pixels}")
    if encoding.format == "png":
        data, content_type = encode_png(pixels), "image/png"
    else:
        data, content_type = encode_jpeg(pixels, encoding.quality), "image/jpeg"
    if len(data) > limits.max_bytes:
        raise PictureTooLarge(f"the encoded picture has {len(data)} bytes, the limit is {limits.max_bytes}")
    return data, "image/png" if content_type == "image/png" else "image/jpeg"
