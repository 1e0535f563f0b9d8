"""Pictures are judged by their structure first; nothing hostile gets decoded, warns or escapes."""

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps, PngImagePlugin

from steadyline.errors import (
    EmptyPicture,
    PictureTooCostly,
    PictureTooLarge,
    PictureTooLong,
    PictureTooManyPixels,
    PoisonMessage,
    UndecodablePicture,
    UnsupportedFormat,
)
from steadyline.grid import Grid
from steadyline.picture import (
    PictureInfo,
    PictureLimits,
    Pixels,
    decode,
    decode_small,
    encode_jpeg,
    encode_png,
    inspect,
    thin,
)
from steadyline.prepare import prepare

LIMITS = PictureLimits(max_bytes=1 << 20, max_pixels=1_000_000)


def a_picture(height: int = 48, width: int = 64, channels: int = 1) -> Pixels:
    ramp = np.add.outer(np.arange(height), np.arange(width)).astype(np.uint8)
    return ramp if channels == 1 else np.stack([ramp, ramp // 2, 255 - ramp], axis=2)


def a_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def a_png_announcing(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = zlib.compress(b"\0" * 100_000)
    return b"\x89PNG\r\n\x1a\n" + a_chunk(b"IHDR", header) + a_chunk(b"IDAT", body) + a_chunk(b"IEND", b"")


def with_chunk(png: bytes, kind: bytes, body: bytes) -> bytes:
    return png[:33] + a_chunk(kind, body) + png[33:]


def with_segment(jpeg: bytes, marker: int, body: bytes) -> bytes:
    return jpeg[:2] + bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body + jpeg[2:]


@pytest.mark.parametrize("channels", [1, 3])
def test_a_png_comes_back_pixel_for_pixel(channels: int) -> None:
    pixels = a_picture(channels=channels)
    data = encode_png(pixels)
    info = inspect(data, LIMITS)
    assert info == PictureInfo("png", 64, 48)
    assert info.content_type == "image/png"
    assert np.array_equal(decode(data, info, "gray" if channels == 1 else "rgb"), pixels)


def test_a_jpeg_comes_back_nearly() -> None:
    pixels = a_picture()
    data = encode_jpeg(pixels, 95)
    info = inspect(data, LIMITS)
    assert (info.format, info.content_type) == ("jpeg", "image/jpeg")
    assert np.abs(decode(data, info, "gray").astype(int) - pixels).mean() < 4
    assert decode(data, info, "rgb").shape == (48, 64, 3)


def test_a_colour_jpeg_decodes_to_gray_without_a_detour() -> None:
    data = encode_jpeg(a_picture(channels=3))
    assert decode(data, inspect(data, LIMITS), "gray").shape == (48, 64)


def test_sixteen_bits_are_scaled_and_not_clipped() -> None:
    target = io.BytesIO()
    Image.fromarray(np.full((8, 8), 0x8000, np.uint16)).save(target, "PNG")
    info = inspect(target.getvalue(), LIMITS)
    assert (decode(target.getvalue(), info, "gray") == 128).all()
    assert decode(target.getvalue(), info, "rgb").shape == (8, 8, 3)


@pytest.mark.parametrize("mode", ["P", "RGBA", "LA", "1"])
def test_every_common_png_mode_becomes_rgb(mode: str) -> None:
    target = io.BytesIO()
    Image.fromarray(a_picture(channels=3)).convert(mode).save(target, "PNG")
    assert decode(target.getvalue(), inspect(target.getvalue(), LIMITS), "rgb").shape == (48, 64, 3)


def test_no_bytes_are_an_empty_picture() -> None:
    with pytest.raises(EmptyPicture):
        inspect(b"", LIMITS)


def test_too_many_bytes_are_refused_before_the_format_is_looked_at() -> None:
    with pytest.raises(PictureTooLarge, match="1048577"):
        inspect(b"x" * (LIMITS.max_bytes + 1), LIMITS)


@pytest.mark.parametrize("data", [b"GIF89a" + b"\0" * 50, b"BM" + b"\0" * 50, b"\0" * 9, b"%PDF-1.7"])
def test_other_formats_are_refused(data: bytes) -> None:
    with pytest.raises(UnsupportedFormat):
        inspect(data, LIMITS)


def test_a_bomb_is_refused_by_its_header() -> None:
    with pytest.raises(PictureTooManyPixels, match="50000 x 50000"):
        inspect(a_png_announcing(50_000, 50_000), LIMITS)


def test_a_picture_without_pixels_is_refused() -> None:
    with pytest.raises(UndecodablePicture):
        inspect(a_png_announcing(0, 10), LIMITS)


@pytest.mark.parametrize("data", [encode_jpeg(a_picture()), encode_png(a_picture())], ids=["jpeg", "png"])
@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
def test_a_truncated_picture_is_refused(data: bytes, part: float) -> None:
    with pytest.raises(UndecodablePicture):
        inspect(data[: int(len(data) * part)], LIMITS)


def test_a_lossless_jpeg_is_refused_as_unsupported() -> None:
    data = encode_jpeg(a_picture()).replace(b"\xff\xc0", b"\xff\xc3")
    with pytest.raises(UnsupportedFormat):
        inspect(data, LIMITS)


def test_a_jpeg_of_thousands_of_scans_is_refused() -> None:
    data = encode_jpeg(a_picture())
    with pytest.raises(PictureTooCostly, match="scans"):
        inspect(data[:-2] + b"\xff\xda\x00\x02" * 100 + b"\xff\xd9", LIMITS)


def test_the_scans_of_a_thumbnail_count_nothing() -> None:
    data = with_segment(encode_jpeg(a_picture()), 0xE1, b"Exif\0\0" + b"\xff\xda" * 100)
    assert inspect(data, LIMITS) == PictureInfo("jpeg", 64, 48)


def test_the_largest_picture_may_be_a_progressive_one() -> None:
    target = io.BytesIO()
    Image.new("RGB", (1000, 1000)).save(target, "JPEG", progressive=True)
    assert inspect(target.getvalue(), LIMITS).width == 1000


@pytest.mark.parametrize(("width", "height"), [(256, 1), (1, 256), (4096, 16), (65_535, 256)])
def test_a_long_picture_of_a_line_camera_is_legal(width: int, height: int) -> None:
    PictureLimits(1, 40_000_000).check_size(width, height)


@pytest.mark.parametrize("sides", [(257, 1), (65_536, 512), (20_000_000, 2), (40_000_000, 1), (1, 200_000)])
@pytest.mark.parametrize("turned", [False, True])
def test_a_side_out_of_all_proportion_is_refused(sides: tuple[int, int], turned: bool) -> None:
    width, height = reversed(sides) if turned else sides
    with pytest.raises(PictureTooLong, match="65535"):
        PictureLimits(1, 40_000_000).check_size(width, height)


def test_a_picture_that_lies_about_its_size_is_not_decoded() -> None:
    data = encode_png(a_picture())
    with pytest.raises(UndecodablePicture):
        decode(data, PictureInfo("png", 4, 4), "gray")


def test_corrupt_pixels_are_undecodable() -> None:
    data = bytearray(encode_png(a_picture()))
    data[45:60] = b"\xff" * 15
    with pytest.raises(UndecodablePicture):
        decode(bytes(data), inspect(bytes(data), LIMITS), "gray")


def test_hostile_metadata_is_never_read() -> None:
    png = encode_png(a_picture())
    bomb = b"comment\0\0" + zlib.compress(b"\0" * (200 << 20))
    for kind, body in ((b"zTXt", bomb), (b"acTL", b"\0\0\0\0"), (b"iCCP", bomb), (b"tRNS", b"\0")):
        data = with_chunk(png, kind, body)
        assert decode(data, inspect(data, LIMITS), "gray").shape == (48, 64)
    jpeg = encode_jpeg(a_picture())
    for marker, body in ((0xE1, b"Exif\0\0MM\0*\xff\xff"), (0xE2, b"MPF\0MM\0*\0\0\0\x08")):
        data = with_segment(jpeg, marker, body)
        assert decode(data, inspect(data, LIMITS), "gray").shape == (48, 64)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG"])
def test_a_picture_is_turned_as_its_exif_says(orientation: int, format: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    target = io.BytesIO()
    Image.fromarray(a_picture(channels=3)).save(target, format, exif=exif)
    with Image.open(target) as picture:
        shown = np.asarray(ImageOps.exif_transpose(picture))
    info = inspect(target.getvalue(), LIMITS)
    np.testing.assert_array_equal(decode(target.getvalue(), info, "rgb"), shown)
    assert len(info.assumed) == (orientation != 1)


def test_an_orientation_that_there_is_not_turns_nothing() -> None:
    jpeg = encode_jpeg(a_picture())
    entry = struct.pack(">HHIHH", 0x0112, 3, 1, 9, 0)
    for tiff in (
        b"MM\0*\0\0\0\x08\0\x01" + entry,
        b"MM\0*\0\0\0\x08\xff\xff",
        b"II*\0\xff\xff\xff\xff",
        b"MM",
    ):
        assert inspect(with_segment(jpeg, 0xE1, b"Exif\0\0" + tiff), LIMITS).orientation == 1


def test_a_png_keeps_its_written_bytes_readable_by_others() -> None:
    with PngImagePlugin.PngImageFile(io.BytesIO(encode_png(a_picture()))) as picture:
        assert picture.size == (64, 48)


@pytest.mark.parametrize("encode", [encode_jpeg, encode_png])
def test_a_small_decode_is_small(encode: object) -> None:
    data = encode_jpeg(a_picture(800, 1200)) if encode is encode_jpeg else encode_png(a_picture(800, 1200))
    small = decode_small(data, inspect(data, LIMITS), 100)
    assert 100 <= min(small.shape) < 200


def test_thinning_keeps_small_pictures_whole() -> None:
    assert thin(a_picture(channels=3), 100).shape == (48, 64)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_no_damage_gets_anything_but_poison_out(data: st.DataObject) -> None:
    whole = data.draw(st.sampled_from([encode_jpeg(a_picture(channels=3)), encode_png(a_picture())]))
    damaged = bytearray(whole)
    for position in data.draw(st.lists(st.integers(0, len(whole) - 1), min_size=1, max_size=20)):
        damaged[position] = data.draw(st.integers(0, 255))
    try:
        info = inspect(bytes(damaged), LIMITS)
        assert prepare(decode(bytes(damaged), info, "rgb"), Grid.square(16), "rgb").shape == (16, 16, 3)
    except PoisonMessage:
        pass
