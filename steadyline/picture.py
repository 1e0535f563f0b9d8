"""Encoded pictures: their structure is checked before they are decoded, and decoding has no surprises."""

import io
import struct
import zlib
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, JpegImagePlugin, PngImagePlugin

from steadyline.errors import (
    EmptyPicture,
    PictureTooCostly,
    PictureTooLarge,
    PictureTooLong,
    PictureTooManyPixels,
    UndecodablePicture,
    UnsupportedFormat,
)
from steadyline.formats import jpeg, png
from steadyline.formats.structure import UPRIGHT
from steadyline.grid import MOST_GRID_PIXELS

Channels = Literal["gray", "rgb"]
Pixels = NDArray[np.uint8]

# Whoever looks at a picture may ask for arrays as long as its sides. Line-scan cameras have 16,384 pixels;
# JPEG itself ends at 65,535.
MAX_SIDE = 65_535
MAX_ASPECT = 256

# A decoder may touch the pixels of the largest legal picture this often: a progressive JPEG has some 10 scans
# (28 ms each for 40 megapixels), a PNG of 16 bits with alpha has 8 bytes a pixel (1.4 s).
_MAX_VISITS = 12

# EXIF's orientation → rows and columns change places, rows are turned round, columns are turned round.
_TURNS = {
    1: (False, False, False),
    2: (False, False, True),
    3: (False, True, True),
    4: (False, True, False),
    5: (True, False, False),
    6: (True, False, True),
    7: (True, True, True),
    8: (True, True, False),
}

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
    """The limits of an encoded picture; all are checked before it is decoded.

    Besides these, no side may be longer than ``MAX_SIDE`` or than ``MAX_ASPECT`` times the other, and
    decoding may cost no more than twelve passes over ``max_pixels``.
    """

    max_bytes: int
    max_pixels: int

    def check_size(self, width: int, height: int) -> None:
        """Raise PictureTooManyPixels or PictureTooLong when a picture of this size is refused."""
        if width * height > self.max_pixels:
            raise PictureTooManyPixels(
                f"the picture announces {width} x {height} pixels, the limit is {self.max_pixels}"
            )
        if max(width, height) > min(MAX_SIDE, MAX_ASPECT * max(1, min(width, height))):
            raise PictureTooLong(
                f"the picture is {width} x {height} pixels: no side may be longer than {MAX_SIDE}, "
                f"or than {MAX_ASPECT} times the other"
            )


# The limits where no product's own are known.
LARGEST = PictureLimits(max_bytes=64 << 20, max_pixels=64_000_000)

# The limits of what we write ourselves in the size of a model's input: maps, and pictures and masks of banks.
INPUT_LIMITS = PictureLimits(max_bytes=16 << 20, max_pixels=MOST_GRID_PIXELS)


@dataclass(frozen=True, slots=True)
class PictureInfo:
    """What the structure of an encoded picture says; width and height are in pixels, as it is stored.

    ``orientation`` is EXIF's, 1 to 8; ``decode`` turns the picture by it. ``assumed`` says in fixed sentences
    what decoding takes for granted: tell it once to whoever sends such pictures.
    """

    format: Literal["jpeg", "png"]
    width: int
    height: int
    orientation: int = UPRIGHT
    assumed: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the picture that ``decode`` returns, which is turned upright."""
        turned = _TURNS[self.orientation][0]
        return (self.width, self.height) if turned else (self.height, self.width)

    @property
    def content_type(self) -> Literal["image/jpeg", "image/png"]:
        """The media type of the picture."""
        return "image/jpeg" if self.format == "jpeg" else "image/png"


def inspect(data: bytes, limits: PictureLimits) -> PictureInfo:
    """Return what the structure of ``data`` says, without decoding it.

    Raises EmptyPicture, PictureTooLarge, UnsupportedFormat, PictureTooManyPixels, PictureTooLong,
    PictureTooCostly, or UndecodablePicture when the structure is broken or the picture ends too early.
    """
    if not data:
        raise EmptyPicture("the picture has no bytes")
    if len(data) > limits.max_bytes:
        raise PictureTooLarge(f"the picture has {len(data)} bytes, the limit is {limits.max_bytes}")
    if data.startswith(jpeg.START):
        form, found = "jpeg", jpeg.jpeg_structure(data)
    elif data.startswith(png.START):
        form, found = "png", png.png_structure(data)
    else:
        raise UnsupportedFormat(f"the picture begins with {data[:8].hex(' ')}: neither JPEG nor PNG")
    limits.check_size(found.width, found.height)
    if found.visits * found.width * found.height > _MAX_VISITS * limits.max_pixels:
        raise PictureTooCostly(
            f"decoding {found.width} x {found.height} pixels in {found.visits} passes costs more than "
            f"{_MAX_VISITS} passes over {limits.max_pixels}"
        )
    kind: Literal["jpeg", "png"] = "jpeg" if form == "jpeg" else "png"
    return PictureInfo(kind, found.width, found.height, found.orientation, found.assumed)


def decode(data: bytes, info: PictureInfo, channels: Channels) -> Pixels:
    """Return the pixels: (H, W) uint8 for ``gray``, (H, W, 3) uint8 for ``rgb``.

    ``info`` is what ``inspect`` returned for the same bytes. The picture is turned as its EXIF orientation
    says. No other metadata is used: text, colour profiles, gamma, transparency and animation are cut away
    first. Raises UndecodablePicture when the data is corrupt or truncated.
    """
    return _upright(_decode(data, info, channels, 0), info.orientation)


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


def thumbnail(data: bytes, info: PictureInfo, side: int) -> bytes:
    """Return a small JPEG of the picture, no side of it longer than ``side``; raises like ``decode``.

    JPEG is decoded at a part of its size, PNG in full.
    """
    small = Image.fromarray(_upright(_decode(data, info, "rgb", side), info.orientation))
    small.thumbnail((side, side))
    target = io.BytesIO()
    small.save(target, "JPEG", quality=80)
    return target.getvalue()


def encode_jpeg(pixels: Pixels, quality: int = 92) -> bytes:
    """Return a JPEG of (H, W) or (H, W, 3) uint8 pixels."""
    target = io.BytesIO()
    Image.fromarray(pixels).save(target, "JPEG", quality=quality)
    return target.getvalue()


def encode_png(pixels: Pixels, level: int = 3) -> bytes:
    """Return a PNG of (H, W) or (H, W, 3) uint8 pixels, without loss; ``level`` is zlib's, 9 the smallest."""
    target = io.BytesIO()
    Image.fromarray(pixels).save(target, "PNG", compress_level=level)
    return target.getvalue()


def _decode(data: bytes, info: PictureInfo, channels: Channels, side: int) -> Pixels:
    mode = "L" if channels == "gray" else "RGB"
    try:
        # Use the classes, not Image.open, which would try all formats and warn about odd metadata.
        if info.format == "jpeg":
            picture: Image.Image = JpegImagePlugin.JpegImageFile(io.BytesIO(jpeg.bare_jpeg(data)))
            _check_size(picture, info)
            if channels == "gray" or side:
                picture.draft(mode, (side, side) if side else picture.size)
        else:
            picture = PngImagePlugin.PngImageFile(io.BytesIO(png.bare_png(data)))
            _check_size(picture, info)
        picture.load()
        return _to_uint8(picture, mode)
    except _HOSTILE as error:
        raise UndecodablePicture(f"the {info.format} cannot be decoded: {error}") from error


def _upright(pixels: Pixels, orientation: int) -> Pixels:
    swapped, rows, columns = _TURNS[orientation]
    seen = pixels.swapaxes(0, 1) if swapped else pixels
    return np.ascontiguousarray(seen[:: -1 if rows else 1, :: -1 if columns else 1])


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
