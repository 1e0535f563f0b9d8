"""The segments of a JPEG: what they announce, and a copy without its metadata."""

import re
import struct
from collections.abc import Iterator

from steadyline.errors import PictureTooCostly, UndecodablePicture, UnsupportedFormat
from steadyline.formats.structure import INKS, PROFILE, UPRIGHT, Structure, exif_orientation, turned

START = b"\xff\xd8\xff"
_END, _SCAN, _COMMENT, _EXIF, _PROFILE = 0xD9, 0xDA, 0xFE, 0xE1, 0xE2
_FRAMES = (0xC0, 0xC1, 0xC2)  # baseline, extended, progressive: those that libjpeg decodes
_OTHER_FRAMES = (0xC3, *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0))
_ALONE = (0x01, *range(0xD0, 0xD8))  # markers without a length
_NO_END = "the JPEG is truncated: it has no end marker"
_KEPT_APPS = (0xE0, 0xEE)  # JFIF, and Adobe's, which says how colours are coded
_AFTER_SCAN = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")  # what ends the pixels of a scan

# A progressive JPEG has about 10 scans. Each one costs a pass over all pixels and has a price of its own.
_MAX_SCANS = 64

# Cameras write a dozen segments, and a colour profile takes 255 at most. Each one costs about a microsecond,
# twice, so that 8 MB of them, two or four bytes each, held an interpreter for a dozen seconds.
_MAX_SEGMENTS = 10_000
_FILL = re.compile(rb"\xff+")


def jpeg_structure(data: bytes) -> Structure:
    """Return what a JPEG announces.

    Raises UndecodablePicture, UnsupportedFormat, or PictureTooCostly when it has more than 64 scans, or
    10,000 segments.
    """
    frame: tuple[int, int, int] | None = None
    scans, orientation, has_profile = 0, 0, False
    for marker, begin, end in _segments(data):
        if marker in _OTHER_FRAMES:
            raise UnsupportedFormat(f"JPEG coding 0x{marker:02x} (lossless or arithmetic) is not supported")
        if marker in _FRAMES and frame is None:
            frame = _frame(data, begin, end)
        scans += marker == _SCAN
        if scans > _MAX_SCANS:
            raise PictureTooCostly(f"the JPEG has more than {_MAX_SCANS} scans")
        if marker == _EXIF and not orientation and data.startswith(b"Exif\0\0", begin + 4):
            orientation = exif_orientation(data[begin + 10 : end])
        has_profile |= marker == _PROFILE and data.startswith(b"ICC_PROFILE\0", begin + 4)
    if frame is None:
        raise UndecodablePicture("the JPEG has no frame header")
    width, height, components = frame
    orientation = orientation or UPRIGHT
    assumed = (*turned(orientation), *((PROFILE,) if has_profile else ()), *((INKS,) * (components == 4)))
    return Structure(width, height, max(scans, 1), orientation, assumed)


def bare_jpeg(data: bytes) -> bytes:
    """Return the JPEG up to its end, without comments, EXIF, colour profile and further pictures."""
    parts = [data[:2]]
    for marker, begin, end in _segments(data):
        metadata = marker == _COMMENT or (0xE0 <= marker <= 0xEF and marker not in _KEPT_APPS)
        if not metadata:
            parts.append(data[begin:end])
    return b"".join(parts)


def _frame(data: bytes, begin: int, end: int) -> tuple[int, int, int]:
    if end - begin < 10:
        raise UndecodablePicture("the JPEG's frame header is too short")
    bits, height, width, components = struct.unpack_from(">BHHB", data, begin + 4)
    if bits != 8 or components not in (1, 3, 4):
        raise UnsupportedFormat(f"JPEG with {bits} bits and {components} components")
    if not width or not height:
        raise UndecodablePicture(f"the JPEG announces {width} x {height} pixels")
    return width, height, components


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield (marker, begin, end) of each segment up to the end marker; a scan's contains its pixels."""
    position = 2
    for _ in range(_MAX_SEGMENTS):
        fill = _FILL.match(data, position)
        if fill is None and position < len(data):
            raise UndecodablePicture(f"the JPEG has no marker at byte {position}")
        if fill is None or fill.end() == len(data):
            raise UndecodablePicture(_NO_END)
        position = fill.end() - 1
        marker = data[position + 1]
        if marker in _ALONE:
            position += 2
            continue
        if marker == _END:
            yield marker, position, position + 2
            return
        length = int.from_bytes(data[position + 2 : position + 4], "big")
        end = position + 2 + length
        if length < 2 or end > len(data):
            raise UndecodablePicture("a JPEG segment runs past the end")
        if marker == _SCAN:
            after = _AFTER_SCAN.search(data, end)
            if after is None:
                raise UndecodablePicture(_NO_END)
            end = after.start()
        yield marker, position, end
        position = end
    raise PictureTooCostly(f"the JPEG has more than {_MAX_SEGMENTS} segments")
