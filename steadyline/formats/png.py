"""The chunks of a PNG: what they announce, its texts, and a copy without its metadata."""

import struct
import zlib
from collections.abc import Iterator

from steadyline.errors import PictureTooCostly, UndecodablePicture
from steadyline.formats.structure import (
    FIRST_OF_SEVERAL,
    GAMMA,
    PROFILE,
    TRANSPARENCY,
    UPPER_BITS,
    UPRIGHT,
    Structure,
    exif_orientation,
    turned,
)

START = b"\x89PNG\r\n\x1a\n"
_KEPT = (b"IHDR", b"PLTE", b"IDAT", b"IEND")
_INDEXED = 3  # the colour type whose pixels are indices into a palette
_CHANNELS = {0: 1, 2: 3, _INDEXED: 1, 4: 2, 6: 4}
_WITH_ALPHA = (4, 6)
_USUAL_GAMMA = 45455  # 1/2.2, which everybody assumes

# libpng writes chunks of 8 KB, so this is a PNG of 80 MB. An empty one costs 0.5 µs and 12 bytes.
_MAX_CHUNKS = 10_000


def png_structure(data: bytes) -> Structure:
    """Return what a PNG announces; raises UndecodablePicture, or PictureTooCostly for too many chunks."""
    kinds: dict[bytes, tuple[int, int]] = {}
    last = b""
    for number, (kind, begin, end) in enumerate(_chunks(data)):
        if not number and (kind != b"IHDR" or end - begin != 25):
            raise UndecodablePicture("the PNG does not begin with its header")
        if number >= _MAX_CHUNKS:
            raise PictureTooCostly(f"the PNG has more than {_MAX_CHUNKS} chunks")
        kinds.setdefault(kind, (begin + 8, end - 4))
        last = kind
    if last != b"IEND" or b"IDAT" not in kinds:
        raise UndecodablePicture("the PNG is truncated: it has no end")
    width, height, bits, colour, interlaced = _header(data)
    if colour == _INDEXED and b"PLTE" not in kinds:  # Pillow would return a black picture
        raise UndecodablePicture("the PNG's pixels point into a palette that it does not have")
    orientation = exif_orientation(_body(data, kinds, b"eXIf")) if b"eXIf" in kinds else UPRIGHT
    assumed = [*turned(orientation)]
    assumed += [UPPER_BITS] if bits == 16 else []
    assumed += [TRANSPARENCY] if colour in _WITH_ALPHA or b"tRNS" in kinds else []
    assumed += [PROFILE] if b"iCCP" in kinds else []
    assumed += [GAMMA] if _has_unusual_gamma(_body(data, kinds, b"gAMA")) else []
    assumed += [FIRST_OF_SEVERAL] if b"acTL" in kinds else []
    visits = max(1, _CHANNELS.get(colour, 4) * bits // 8) * (2 if interlaced else 1)
    return Structure(width, height, visits, orientation, tuple(assumed))


def png_text(data: bytes) -> dict[str, str]:
    """Return keyword → text of the uncompressed text chunks of a PNG that ``inspect`` has passed.

    Raises UndecodablePicture when one of them does not match its checksum.
    """
    found = {}
    for kind, begin, end in _chunks(data):
        if kind == b"tEXt":
            if zlib.crc32(data[begin + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
                raise UndecodablePicture("a text of the PNG does not match its checksum")
            keyword, _, text = data[begin + 8 : end - 4].decode("latin-1").partition("\0")
            found[keyword] = text
    return found


def bare_png(data: bytes) -> bytes:
    """Return the PNG up to its end, with nothing but its header, its palette and its pixels."""
    return START + b"".join(data[begin:end] for kind, begin, end in _chunks(data) if kind in _KEPT)


def _header(data: bytes) -> tuple[int, int, int, int, int]:
    header = data[8:33]
    if zlib.crc32(header[4:21]) != int.from_bytes(header[21:], "big"):
        raise UndecodablePicture("the PNG's header does not match its checksum")
    width, height, bits, colour = struct.unpack_from(">IIBB", header, 8)
    if not width or not height:
        raise UndecodablePicture(f"the PNG announces {width} x {height} pixels")
    return width, height, bits, colour, header[20]


def _body(data: bytes, kinds: dict[bytes, tuple[int, int]], kind: bytes) -> bytes:
    begin, end = kinds.get(kind, (0, 0))
    return data[begin:end]


def _has_unusual_gamma(body: bytes) -> bool:
    return len(body) == 4 and abs(int.from_bytes(body, "big") - _USUAL_GAMMA) > 100


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield (type, begin, end) of each chunk up to the end chunk."""
    position = len(START)
    while position + 12 <= len(data):
        length = int.from_bytes(data[position : position + 4], "big")
        kind, end = data[position + 4 : position + 8], position + 12 + length
        if end > len(data):
            raise UndecodablePicture("a PNG chunk runs past the end")
        yield kind, position, end
        if kind == b"IEND":
            return
        position = end
