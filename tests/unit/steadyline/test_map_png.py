"""A map survives its PNG, also one that was written long ago; what is no map is refused."""

import base64
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image, PngImagePlugin

from steadyline.errors import PictureTooManyPixels, PoisonMessage, UndecodablePicture
from steadyline.grid import MOST_GRID_PIXELS, MOST_SIDE
from steadyline.inference import Floats
from steadyline.map_png import MAP_MAX, MAP_MIN, decode_map, encode_map

maps = hnp.arrays(
    np.float32, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.floats(-99, 99, width=32)
)
KEPT = [[-1.5, 0.25, 0.5], [0.1, 3.0, 2.0]]
# Written by the scorer of version 0.1.0 for the map KEPT; never changed: such files lie in stores.
KEPT_PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAMAAAACCAAAAAC4HznGAAAAF3RFWHRzdGVhZHlsaW5lOm1hcC1taW4ALTEuNZQgp9kAAAAWdEVY"
    "dHN0ZWFkeWxpbmU6bWFwLW1heAAzLjBp6HBSAAAAEElEQVR4nGNkSOZjiP5/DAAGfQKTbGENsgAAAABJRU5ErkJggg=="
)


def a_png(scale: dict[str, str], picture: Image.Image | None = None) -> bytes:
    """Return a PNG with ``scale`` as its text; grey, 3 x 2, unless another picture is given."""
    text, target = PngImagePlugin.PngInfo(), io.BytesIO()
    for keyword, value in scale.items():
        text.add_text(keyword, value)
    (picture or Image.new("L", (3, 2), 51)).save(target, "PNG", pnginfo=text)
    return target.getvalue()


@given(maps)
def test_a_map_is_read_back_to_half_a_255th_of_its_range(anomaly_map: Floats) -> None:
    found = decode_map(encode_map(anomaly_map))
    low, high = float(anomaly_map.min()), float(anomaly_map.max())
    assert found.dtype == np.float32
    assert np.abs(found - anomaly_map).max() <= (high - low) / 510 * 1.01 + 1e-5


@given(maps)
def test_its_lowest_and_highest_cell_are_exact_and_where_they_were(anomaly_map: Floats) -> None:
    found = decode_map(encode_map(anomaly_map))
    assert (found.min(), found.max()) == (anomaly_map.min(), anomaly_map.max())
    assert found.flat[anomaly_map.argmax()] == anomaly_map.max()
    assert found.flat[anomaly_map.argmin()] == anomaly_map.min()


def test_a_map_that_was_kept_by_an_earlier_release_is_read() -> None:
    assert decode_map(KEPT_PNG) == pytest.approx(np.array(KEPT), abs=4.5 / 510)


def test_a_reader_without_our_code_needs_the_picture_and_two_numbers() -> None:
    with Image.open(io.BytesIO(encode_map(np.array(KEPT, np.float32)))) as picture:
        assert (picture.mode, picture.size) == ("L", (3, 2))
        low, high = float(picture.info[MAP_MIN]), float(picture.info[MAP_MAX])
        values = low + np.asarray(picture) / 255 * (high - low)
    assert values == pytest.approx(np.array(KEPT), abs=4.5 / 510)


@pytest.mark.parametrize(
    ("scale", "complaint"),
    [
        ({}, "does not say"),
        ({MAP_MIN: "0.0"}, "does not say"),
        ({MAP_MIN: "0.0", MAP_MAX: "high"}, "does not say"),
        ({MAP_MIN: "0.0", MAP_MAX: "nan"}, "from 0.0 to nan"),
        ({MAP_MIN: "0.0", MAP_MAX: "inf"}, "from 0.0 to inf"),
        ({MAP_MIN: "-1e39", MAP_MAX: "0.0"}, r"from -1e\+39 to 0.0"),
        ({MAP_MIN: "1.0", MAP_MAX: "0.0"}, "from 1.0 to 0.0"),
    ],
)
def test_a_png_without_a_scale_is_no_map(scale: dict[str, str], complaint: str) -> None:
    with pytest.raises(UndecodablePicture, match=complaint):
        decode_map(a_png(scale))


def test_a_scale_of_any_length_makes_no_long_message() -> None:
    with pytest.raises(UndecodablePicture) as refusal:
        decode_map(a_png({MAP_MIN: "x" * 100_000, MAP_MAX: "1.0"}))
    assert len(str(refusal.value)) < 200


def test_a_scale_that_was_damaged_is_not_believed() -> None:
    with pytest.raises(UndecodablePicture, match="checksum"):
        decode_map(KEPT_PNG.replace(b"-1.5", b"-9.5"))


@pytest.mark.parametrize("mode", ["RGB", "I;16", "P", "1", "LA"])
def test_a_png_of_another_kind_of_pixel_is_no_map(mode: str) -> None:
    with pytest.raises(UndecodablePicture, match="grey PNG of 8 bits"):
        decode_map(a_png({MAP_MIN: "0.0", MAP_MAX: "1.0"}, Image.new(mode, (3, 2))))


@given(st.integers(0, len(KEPT_PNG) - 1), st.integers(0, 255))
def test_a_damaged_map_is_refused_or_read_and_never_another_error(place: int, value: int) -> None:
    damaged = bytearray(KEPT_PNG)
    damaged[place] = value
    for data in (bytes(damaged), KEPT_PNG[:place]):
        try:
            assert np.isfinite(decode_map(data)).all()
        except PoisonMessage:
            continue


def test_a_map_is_no_larger_than_the_largest_input() -> None:
    widest = MOST_GRID_PIXELS // MOST_SIDE, MOST_SIDE
    assert decode_map(encode_map(np.zeros(widest, np.float32))).shape == widest
    with pytest.raises(PictureTooManyPixels):
        decode_map(encode_map(np.zeros((widest[0] + 1, MOST_SIDE), np.float32)))
