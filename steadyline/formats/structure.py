"""What is read from the structure of any encoded picture, and the orientation in its EXIF."""

import struct
from dataclasses import dataclass

_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}
_ORIENTATION, _SHORT = 0x0112, 3
UPRIGHT = 1

PROFILE = "its colour profile is left out"
GAMMA = "its gamma is left out"
TRANSPARENCY = "its transparency is left out"
FIRST_OF_SEVERAL = "the first picture of an animation is used"
INKS = "its inks (CMYK) are converted without a colour profile"
UPPER_BITS = (
    "the upper 8 of its 16 bits are used: a camera of 10 to 14 bits must shift its values up to fill 16"
)


@dataclass(frozen=True, slots=True)
class Structure:
    """``visits`` is how often a decoder touches each pixel; ``orientation`` is EXIF's, 1 to 8.

    ``assumed`` says in fixed sentences what decoding this picture takes for granted.
    """

    width: int
    height: int
    visits: int
    orientation: int = UPRIGHT
    assumed: tuple[str, ...] = ()


def turned(orientation: int) -> tuple[str, ...]:
    """Return the sentence about a picture that is not stored upright."""
    return () if orientation == UPRIGHT else (f"it is turned as its EXIF orientation {orientation} says",)


def exif_orientation(tiff: bytes) -> int:
    """Return the orientation that an EXIF block gives; 1, upright, when it gives none that is legal."""
    order = _ORDERS.get(tiff[:4])
    if order is None or len(tiff) < 8:
        return UPRIGHT
    (start,) = struct.unpack_from(order + "I", tiff, 4)
    if start + 2 > len(tiff):
        return UPRIGHT
    (count,) = struct.unpack_from(order + "H", tiff, start)
    for place in range(start + 2, min(start + 2 + 12 * count, len(tiff) - 11), 12):
        tag, kind, number, value = struct.unpack_from(order + "HHIH", tiff, place)
        if tag == _ORIENTATION:
            return int(value) if kind == _SHORT and number == 1 and 1 <= value <= 8 else UPRIGHT
    return UPRIGHT
