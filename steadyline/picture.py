"""Encoded pictures: their structure is checked before they are decoded, and decoding has no surprises."""

import io
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, JpegImagePlugin, PngImagePlugin

from steadyline.errors import (
    EmptyPicture,
    PictureTooLarge,
    PictureTooManyPixels,
    UndecodablePicture,
    UnsupportedFormat,
)

Channels = Literal["gray", "rgb"]
Pixels = NDArray[np.uint8]

_JPEG_START = b"\xff\xd8\xff"
_JPEG_END = b"\xff\xd9"
_PNG_START = b"\x89PNG\r\n\x1a\n"
_PNG_INDEXED = 3  # the colour type whose pixels are indices into a palette
_PNG_KEPT = (b"IHDR", b"PLTE", b"IDAT", b"IEND")
_JPEG_FRAMES = (0xC0, 0xC1, 0xC2)  # baseline, extended, progressive: those that libjpeg decodes
_JPEG_OTHER_FRAMES = (0xC3, *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0))
_JPEG_ALONE = (0x01, *range(0xD0, 0xD8))  # markers without a length
_JPEG_KEPT_APPS = (0xE0, 0xEE)  # JFIF, and Adobe's, which says how colours are coded

# A progressive JPEG has about 10 scans. Each one costs a pass over all pixels, so thousands are an attack on
# the decoder (libjpeg-turbo itself advises to bound them).
_MAX_SCANS = 64

# Errors that Pillow raises on hostile bytes, besides the documented OSError.
_HOSTILE = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    AssertionError,
    EOFError,
    MemoryError,
    RuntimeError,
    struct.error,
    zlib.error,
)


@dataclass(frozen=True, slots=True)
class PictureLimits:
    """The limits of an encoded picture; both are checked before it is decoded."""

    max_bytes: int
    max_pixels: int


@dataclass(frozen=True, slots=True)
class PictureInfo:
    """What the header of an encoded picture says; width and height are in pixels."""

    format: Literal["jpeg", "png"]
    width: int
    height: int

    @property
    def content_type(self) -> Literal["image/jpeg", "image/png"]:
        """The media type of the picture."""
        return "image/jpeg" if self.format == "jpeg" else "image/png"


def inspect(data: bytes, limits: PictureLimits) -> PictureInfo:
    """Return what the structure of ``data`` says, without decoding it.

    Raises EmptyPicture, PictureTooLarge, UnsupportedFormat, PictureTooManyPixels, or UndecodablePicture when
    the structure is broken or the picture ends too early.
    """
    if not data:
        raise EmptyPicture("the picture has no bytes")
    if len(data) > limits.max_bytes:
        raise PictureTooLarge(f"the picture has {len(data)} bytes, the limit is {limits.max_bytes}")
    if data.startswith(_JPEG_START):
        info = _inspect_jpeg(data)
    elif data.startswith(_PNG_START):
        info = _inspect_png(data)
    else:
        raise UnsupportedFormat(f"the picture begins with {data[:8].hex(' ')}: neither JPEG nor PNG")
    if info.width * info.height > limits.max_pixels:
        raise PictureTooManyPixels(
            f"the picture announces {info.width} x {info.height} pixels, the limit is {limits.max_pixels}"
        )
    return info


def decode(data: bytes, info: PictureInfo, channels: Channels) -> Pixels:
    """Return the pixels: (H, W) uint8 for ``gray``, (H, W, 3) uint8 for ``rgb``.

    ``info`` is what ``inspect`` returned for the same bytes. Metadata is never used: text, colour profiles,
    EXIF and animation are cut away first. Raises UndecodablePicture when the data is corrupt or truncated.
    """
    return _decode(data, info, channels, 0)


def decode_small(data: bytes, info: PictureInfo, side: int) -> Pixels:
    """Return gray pixels, reduced where that is cheap; the shorter side keeps at least ``side`` pixels.

    JPEG is decoded at 1/2, 1/4 or 1/8 of its size; PNG is decoded in full and then thinned. Raises like
    ``decode``.
    """
    return thin(_decode(data, info, "gray", side), side)


def thin(pixels: Pixels, side: int) -> Pixels:
    """Return every n-th row and column of (H, W) or (H, W, 3), so that the shorter side is near ``side``."""
    step = max(1, min(pixels.shape[:2]) // side)
    gray = pixels if pixels.ndim == 2 else pixels[..., 1]
    return np.ascontiguousarray(gray[::step, ::step])


def png_text(data: bytes) -> dict[str, str]:
    """Return keyword → text of the uncompressed text chunks of a PNG that ``inspect`` has passed.

    Raises UndecodablePicture when one of them does not match its checksum.
    """
    found = {}
    for kind, begin, end in _png_chunks(data):
        if kind == b"tEXt":
            if zlib.crc32(data[begin + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
                raise UndecodablePicture("a text of the PNG does not match its checksum")
            keyword, _, text = data[begin + 8 : end - 4].decode("latin-1").partition("\0")
            found[keyword] = text
    return found


def encode_jpeg(pixels: Pixels, quality: int = 92) -> bytes:
    """Return a JPEG of (H, W) or (H, W, 3) uint8 pixels."""
    target = io.BytesIO()
    Image.fromarray(pixels).save(target, "JPEG", quality=quality)
    return target.getvalue()


def encode_png(pixels: Pixels) -> bytes:
    """Return a PNG of (H, W) or (H, W, 3) uint8 pixels, without loss."""
    target = io.BytesIO()
    Image.fromarray(pixels).save(target, "PNG", compress_level=3)
    return target.getvalue()


def _decode(data: bytes, info: PictureInfo, channels: Channels, side: int) -> Pixels:
    mode = "L" if channels == "gray" else "RGB"
    try:
        # Use the classes, not Image.open, which would try all formats and warn about odd metadata.
        if info.format == "jpeg":
            picture: Image.Image = JpegImagePlugin.JpegImageFile(io.BytesIO(_bare_jpeg(data)))
            _check_size(picture, info)
            if channels == "gray" or side:
                picture.draft(mode, (side, side) if side else picture.size)
        else:
            picture = PngImagePlugin.PngImageFile(io.BytesIO(_bare_png(data)))
            _check_size(picture, info)
        picture.load()
        return _to_uint8(picture, mode)
    except _HOSTILE as error:
        raise UndecodablePicture(f"the {info.format} cannot be decoded: {error}") from error


def _check_size(picture: Image.Image, info: PictureInfo) -> None:
    if picture.size != (info.width, info.height):
        raise UndecodablePicture(
            f"the picture is {picture.size}, its header said {info.width} x {info.height}"
        )


def _to_uint8(picture: Image.Image, mode: str) -> Pixels:
    if picture.mode.startswith("I"):  # 16 bits: take the high byte; Pillow would clip instead
        high = (np.asarray(picture).astype(np.uint32) >> 8).astype(np.uint8)
        return high if mode == "L" else np.repeat(high[..., None], 3, axis=2)
    return np.array(picture if picture.mode == mode else picture.convert(mode), dtype=np.uint8)


def _inspect_jpeg(data: bytes) -> PictureInfo:
    for marker, begin, end in _jpeg_segments(data):
        if marker in _JPEG_OTHER_FRAMES:
            raise UnsupportedFormat(f"JPEG coding 0x{marker:02x} (lossless or arithmetic) is not supported")
        if marker in _JPEG_FRAMES:
            if end - begin < 10:
                raise UndecodablePicture("the JPEG's frame header is too short")
            bits, height, width, components = struct.unpack_from(">BHHB", data, begin + 4)
            if bits != 8 or components not in (1, 3, 4):
                raise UnsupportedFormat(f"JPEG with {bits} bits and {components} components")
            if not width or not height:
                raise UndecodablePicture(f"the JPEG announces {width} x {height} pixels")
            if data.rfind(_JPEG_END) < end:
                raise UndecodablePicture("the JPEG is truncated: it has no end marker")
            if data.count(b"\xff\xda") > _MAX_SCANS:
                raise UndecodablePicture(f"the JPEG has more than {_MAX_SCANS} scans")
            return PictureInfo("jpeg", width, height)
    raise UndecodablePicture("the JPEG has no frame header")


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield (marker, begin, end) of each segment up to the first scan, which runs to the end of the data."""
    position = 2
    while position + 4 <= len(data):
        if data[position] != 0xFF:
            raise UndecodablePicture(f"the JPEG has no marker at byte {position}")
        marker = data[position + 1]
        if marker == 0xFF:  # fill byte
            position += 1
            continue
        if marker in _JPEG_ALONE:
            position += 2
            continue
        length = int.from_bytes(data[position + 2 : position + 4], "big")
        end = position + 2 + length
        if length < 2 or end > len(data):
            raise UndecodablePicture("a JPEG segment runs past the end")
        if marker == 0xDA:
            yield marker, position, len(data)
            return
        yield marker, position, end
        position = end
    raise UndecodablePicture("the JPEG ends before its first scan")


def _bare_jpeg(data: bytes) -> bytes:
    parts = [data[:2]]
    for marker, begin, end in _jpeg_segments(data):
        metadata = marker == 0xFE or (0xE0 <= marker <= 0xEF and marker not in _JPEG_KEPT_APPS)
        if not metadata:
            parts.append(data[begin:end])
    return b"".join(parts)


def _inspect_png(data: bytes) -> PictureInfo:
    kinds: list[bytes] = []
    for kind, begin, _end in _png_chunks(data):
        if not kinds and (kind != b"IHDR" or _end - begin != 25):
            raise UndecodablePicture("the PNG does not begin with its header")
        kinds.append(kind)
    if kinds[-1:] != [b"IEND"] or b"IDAT" not in kinds:
        raise UndecodablePicture("the PNG is truncated: it has no end")
    if data[25] == _PNG_INDEXED and b"PLTE" not in kinds:  # Pillow would return a black picture
        raise UndecodablePicture("the PNG's pixels point into a palette that it does not have")
    header = data[8:33]
    if zlib.crc32(header[4:21]) != int.from_bytes(header[21:], "big"):
        raise UndecodablePicture("the PNG's header does not match its checksum")
    width, height = struct.unpack_from(">II", header, 8)
    if not width or not height:
        raise UndecodablePicture(f"the PNG announces {width} x {height} pixels")
    return PictureInfo("png", width, height)


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield (type, begin, end) of each chunk up to the end chunk."""
    position = len(_PNG_START)
    while position + 12 <= len(data):
        length = int.from_bytes(data[position : position + 4], "big")
        kind, end = data[position + 4 : position + 8], position + 12 + length
        if end > len(data):
            raise UndecodablePicture("a PNG chunk runs past the end")
        yield kind, position, end
        if kind == b"IEND":
            return
        position = end


def _bare_png(data: bytes) -> bytes:
    return _PNG_START + b"".join(
        data[begin:end] for kind, begin, end in _png_chunks(data) if kind in _PNG_KEPT
    )
