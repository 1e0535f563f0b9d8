"""Encoded pictures of every kind that a line may meet: legal ones, and hostile ones with their reason."""

import io
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Gray = NDArray[np.uint8]

# Adam7: first column, first row, step across, step down of each of the seven passes.
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_PNG = b"\x89PNG\r\n\x1a\n"
_SIDE = 32


def a_chunk(kind: bytes, body: bytes) -> bytes:
    """Return a PNG chunk with its right length and checksum."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def a_header(side: tuple[int, int], depth: int = 8, colour: int = 0, interlace: int = 0) -> bytes:
    """Return a PNG header chunk; ``side`` is (width, height)."""
    return a_chunk(b"IHDR", struct.pack(">IIBBBBB", *side, depth, colour, 0, 0, interlace))


def a_png(rows: bytes, header: bytes, *extra: bytes) -> bytes:
    """Return a PNG of filtered ``rows``, whatever its header and further chunks say."""
    return _PNG + header + b"".join(extra) + a_chunk(b"IDAT", zlib.compress(rows)) + a_chunk(b"IEND", b"")


def encoded(picture: Image.Image, format: str, **options: Any) -> bytes:
    """Return a picture as Pillow writes it."""
    target = io.BytesIO()
    picture.save(target, format, **options)
    return target.getvalue()


def legal(gray: Gray) -> Iterator[tuple[str, bytes]]:
    """Yield (name, bytes) of one picture, (S, S) uint8, in every form of JPEG and PNG that is scored."""
    plain = Image.fromarray(gray)
    colour, opaque = plain.convert("RGB"), plain.convert("RGBA")
    deep = (gray.astype(np.uint16) * 257).byteswap()
    other = Image.fromarray(np.full_like(gray, 128))
    size, sharp = (gray.shape[1], gray.shape[0]), {"quality": 100, "subsampling": 0}
    yield "png gray", encoded(plain, "PNG")
    yield "png rgb", encoded(colour, "PNG")
    yield "png rgba", encoded(opaque, "PNG")
    yield "png gray and alpha", encoded(plain.convert("LA"), "PNG")
    yield "png palette", encoded(plain.convert("P"), "PNG")
    yield "png one colour transparent", encoded(plain, "PNG", transparency=0)
    yield "png 16 bits", a_png(_rows(deep.view(np.uint8)), a_header(size, 16))
    yield "png 16 bits rgb", a_png(_rows(np.repeat(deep, 3, 1).view(np.uint8)), a_header(size, 16, 2))
    yield "png interlaced", a_png(_interlaced(gray), a_header(size, interlace=1))
    yield "png animated", encoded(plain, "PNG", save_all=True, append_images=[other])
    yield "png with a bomb as comment", _with_comment(encoded(plain, "PNG"))
    yield "png with rows to spare", a_png(_rows(gray) + bytes(64 << 20), a_header(size))
    yield "jpeg gray", encoded(plain, "JPEG", **sharp)
    yield "jpeg rgb", encoded(colour, "JPEG", **sharp)
    yield "jpeg progressive", encoded(colour, "JPEG", progressive=True, **sharp)
    yield (
        "jpeg optimized with restarts",
        encoded(plain, "JPEG", optimize=True, restart_marker_blocks=2, quality=100),
    )
    yield "jpeg cmyk", encoded(colour.convert("CMYK"), "JPEG", **sharp)
    yield "jpeg of several pictures", encoded(colour, "MPO", save_all=True, append_images=[other], **sharp)
    filled = encoded(plain, "JPEG", **sharp)
    yield "jpeg with fill bytes", filled[:2] + b"\xff" * 50_000 + filled[2:]
    yield "jpeg with bytes after its end", filled + b"<script>" * 20


def assuming(gray: Gray) -> Iterator[tuple[str, bytes, str | None]]:
    """Yield (name, bytes, words of what is assumed) of one picture, (S, S) uint8; None: nothing is."""
    plain, size = Image.fromarray(gray), (gray.shape[1], gray.shape[0])
    colour = plain.convert("RGB")
    deep = (gray.astype(np.uint16) * 257).byteswap()
    other = Image.fromarray(np.full_like(gray, 128))
    coarse = (gray >> 4).reshape(-1, 2)
    sharp = {"quality": 100, "subsampling": 0}
    yield "png gray", encoded(plain, "PNG"), None
    yield "png rgb", encoded(colour, "PNG"), None
    yield "png palette", encoded(plain.convert("P"), "PNG"), None
    yield "png interlaced", a_png(_interlaced(gray), a_header(size, interlace=1)), None
    yield "png usual gamma", a_png(_rows(gray), a_header(size), a_chunk(b"gAMA", b"\0\0\xb1\x8f")), None
    nibbles = (coarse[:, 0] << 4 | coarse[:, 1]).astype(np.uint8).reshape(size[1], -1)
    yield "png 4 bits", a_png(_rows(nibbles), a_header(size, 4)), None
    yield "png 16 bits", a_png(_rows(deep.view(np.uint8)), a_header(size, 16)), "upper 8 of its 16 bits"
    wide = np.repeat(deep, 3, 1).view(np.uint8)
    yield "png 16 bits rgb", a_png(_rows(wide), a_header(size, 16, 2)), "upper 8 of its 16 bits"
    yield "png rgba", encoded(plain.convert("RGBA"), "PNG"), "transparency is left out"
    yield "png gray and alpha", encoded(plain.convert("LA"), "PNG"), "transparency is left out"
    yield "png one colour transparent", encoded(plain, "PNG", transparency=0), "transparency is left out"
    yield "png other gamma", a_png(_rows(gray), a_header(size), a_chunk(b"gAMA", b"\0\1\x86\xa0")), "gamma"
    yield "png colour profile", encoded(plain, "PNG", icc_profile=b"p" * 200), "colour profile is left out"
    yield "png animated", encoded(plain, "PNG", save_all=True, append_images=[other]), "first picture"
    yield "jpeg gray", encoded(plain, "JPEG", **sharp), None
    yield "jpeg rgb", encoded(colour, "JPEG", **sharp), None
    yield "jpeg progressive", encoded(colour, "JPEG", progressive=True, **sharp), None
    yield "jpeg inks", encoded(colour.convert("CMYK"), "JPEG", **sharp), "inks (CMYK)"
    yield "jpeg colour profile", encoded(plain, "JPEG", icc_profile=b"p" * 200, **sharp), "colour profile"
    for orientation, stored in ((3, gray[::-1, ::-1]), (6, np.rot90(gray)), (8, np.rot90(gray, -1))):
        exif = Image.Exif()
        exif[0x0112] = orientation
        lying, told = Image.fromarray(np.ascontiguousarray(stored)), f"EXIF orientation {orientation}"
        yield f"jpeg lying as {orientation}", encoded(lying, "JPEG", exif=exif, **sharp), told
        yield f"png lying as {orientation}", encoded(lying, "PNG", exif=exif), told


def hostile() -> Iterator[tuple[str, bytes, str]]:
    """Yield (name, bytes, reason word) of what is refused; no size is over 200,000 bytes but one."""
    yield "nothing", b"", "empty_picture"
    yield "too many bytes", b"\xff\xd8\xff" + bytes(200_001), "picture_too_large"
    yield from ((name, data, "unsupported_format") for name, data in _other_formats())
    yield from _hostile_png()
    yield from _hostile_jpeg()


def _other_formats() -> Iterator[tuple[str, bytes]]:
    picture = Image.fromarray(np.full((_SIDE, _SIDE), 90, np.uint8))
    for format in ("GIF", "TIFF", "BMP", "WEBP", "PPM", "ICO"):
        yield format.lower(), encoded(picture, format)
    yield "animated gif", encoded(picture, "GIF", save_all=True, append_images=[picture.rotate(90)])
    yield "html", b"<!doctype html><html><body>503 Service Unavailable</body></html>"
    yield "svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>"
    yield "pdf", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3"
    yield "zip", b"PK\x03\x04" + bytes(60)
    yield "program", b"\x7fELF" + bytes(60)
    yield "zeros", bytes(500)
    yield "text", b"no picture"


def _hostile_png() -> Iterator[tuple[str, bytes, str]]:
    side = (_SIDE, _SIDE)
    rows = _rows(np.full((_SIDE, _SIDE), 90, np.uint8))
    whole, header = a_png(rows, a_header(side)), a_header(side)
    wrong_sum = bytearray(whole)
    wrong_sum[-17] ^= 1  # the last byte of the pixels' checksum
    flipped = bytearray(whole)
    flipped[len(_PNG) + len(header) + 12] ^= 4  # a bit of the pixels
    bomb = a_png(bytes(100_000_000), a_header((50_000, 50_000)))
    assert len(bomb) < 200_000
    yield "png bomb", bomb, "picture_too_many_pixels"
    yield "png wide bomb", a_png(rows, a_header((2**31 - 1, 1))), "picture_too_many_pixels"
    yield "png of one row", a_png(bytes(1_000_001), a_header((1_000_000, 1))), "picture_too_long"
    yield "png of one column", a_png(bytes(2_000_000), a_header((1, 1_000_000))), "picture_too_long"
    yield "png out of proportion", a_png(bytes(2 * 514), a_header((513, 2))), "picture_too_long"
    empty = a_chunk(b"IDAT", b"")
    yield "png of many chunks", a_png(rows, header, *[empty] * 10_000), "picture_too_costly"
    heavy = a_png(bytes(8_001 * 1_000), a_header((1_000, 1_000), 16, 6, 1))
    yield "png of 16 bits, with alpha, interlaced, a megapixel", heavy, "picture_too_costly"
    broken = {
        "png without its end": whole[:-12],
        "png cut within its pixels": whole[: len(whole) - 30],
        "png start alone": _PNG,
        "png start and rubbish": _PNG + b"\xff" * 64,
        "png without pixels": _PNG + header + a_chunk(b"IEND", b""),
        "png without a header": _PNG + whole[len(_PNG) + len(header) :],
        "png announcing nothing": a_png(rows, a_header((0, 32))),
        "png announcing more than it has": a_png(rows, a_header((64, 64))),
        "png with a second header": a_png(rows, header, a_header((50_000, 50_000))),
        "png of impossible depth": a_png(rows, a_header(side, depth=7)),
        "png of impossible colour": a_png(rows, a_header(side, colour=5)),
        "png of impossible filter": a_png(b"\x09" + rows[1:], header),
        "png palette without one": a_png(rows, a_header(side, colour=3)),
        "png with a wrong checksum": bytes(wrong_sum),
        "png with a flipped bit": bytes(flipped),
        "png with rubbish for pixels": _PNG + header + a_chunk(b"IDAT", b"\xff" * 90) + a_chunk(b"IEND", b""),
    }
    yield from ((name, data, "undecodable_picture") for name, data in broken.items())


def _hostile_jpeg() -> Iterator[tuple[str, bytes, str]]:
    ramp = np.add.outer(np.arange(64), np.arange(64)).astype(np.uint8)
    whole = encoded(Image.fromarray(ramp), "JPEG")
    start, codes = whole.index(b"\xff\xc0"), whole.index(b"\xff\xc4")
    frame = whole[start : start + 2 + int.from_bytes(whole[start + 2 : start + 4], "big")]
    large = frame[:5] + struct.pack(">HH", 65_500, 65_500) + frame[9:]
    yield "jpeg bomb", whole.replace(frame, large), "picture_too_many_pixels"
    for name, marker in (
        ("lossless", b"\xff\xc3"),
        ("arithmetic", b"\xff\xc9"),
        ("hierarchical", b"\xff\xc5"),
    ):
        yield f"jpeg {name}", whole.replace(b"\xff\xc0", marker, 1), "unsupported_format"
    yield "jpeg of 12 bits", whole.replace(frame, frame[:4] + b"\x0c" + frame[5:]), "unsupported_format"
    broken = {
        "jpeg cut in two": whole[: len(whole) // 2],
        "jpeg cut within its tables": whole[:90],
        "jpeg start alone": b"\xff\xd8\xff",
        "jpeg start and end": b"\xff\xd8\xff\xd9",
        "jpeg start and rubbish": b"\xff\xd8\xff" + b"\x07" * 300,
        "jpeg announcing nothing": whole.replace(frame, frame[:5] + bytes(4) + frame[9:]),
        "jpeg with a second frame": whole.replace(frame, frame + large),
        "jpeg without its frame": whole.replace(frame, b""),
        "jpeg without its tables": whole.replace(b"\xff\xdb", b"\xff\xfe"),
        "jpeg with impossible codes": whole[: codes + 5] + b"\xff" * 16 + whole[codes + 21 :],
    }
    scan = whole[whole.index(b"\xff\xda") : -2]
    yield "jpeg of thousands of scans", whole[:-2] + scan[:12] * 5_000 + b"\xff\xd9", "picture_too_costly"
    for name, segment in (
        ("comments", b"\xff\xfe\0\2"),
        ("app segments", b"\xff\xee\0\2"),
        ("marks", b"\xff\1"),
    ):
        yield f"jpeg of thousands of {name}", whole[:2] + segment * 20_000 + whole[2:], "picture_too_costly"
    yield "jpeg of forty scans of a megapixel", _of_many_scans(40), "picture_too_costly"
    yield from ((name, data, "undecodable_picture") for name, data in broken.items())


def _of_many_scans(count: int) -> bytes:
    """Return a legal progressive JPEG of a megapixel whose last scan is there again and again."""
    whole = encoded(Image.new("L", (1000, 1000), 128), "JPEG", progressive=True)
    last = whole[whole.rindex(b"\xff\xda") : -2]
    return whole[:-2] + last * (count - whole.count(b"\xff\xda")) + b"\xff\xd9"


def _rows(pixels: NDArray[np.uint8]) -> bytes:
    """Return (H, bytes of a row) with filter 0 before every row."""
    return b"".join(b"\0" + row.tobytes() for row in pixels)


def _interlaced(gray: Gray) -> bytes:
    return b"".join(_rows(gray[top::down, left::across]) for left, top, across, down in _PASSES)


def _with_comment(png: bytes) -> bytes:
    bomb = a_chunk(b"zTXt", b"comment\0\0" + zlib.compress(bytes(64 << 20)))
    return png[:33] + bomb + png[33:]
