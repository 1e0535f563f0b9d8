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
from steadyline.map_png import (
    MAP_MAX,
    MAP_MIN,
    MAP_SPREAD,
    MAP_THRESHOLD,
    decode_map,
    encode_map,
    glow_of,
)
from steadyline.score_scale import ScoreScale

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


@given(maps, st.floats(-99, 99), st.floats(0.01, 99))
def test_a_calibrated_map_is_above_128_exactly_where_it_is_above_the_threshold(
    anomaly_map: Floats, threshold: float, spread: float
) -> None:
    data = encode_map(anomaly_map, ScoreScale(threshold, spread))
    above = anomaly_map.astype(np.float64) > threshold
    with Image.open(io.BytesIO(data)) as picture:
        assert np.array_equal(np.asarray(picture) >= 128, above)
    assert np.array_equal(glow_of(data) > 0, above)
    assert np.array_equal(decode_map(data) > np.float32(threshold), above)


@given(maps)
def test_a_calibrated_map_is_read_back_to_half_a_grey(anomaly_map: Floats) -> None:
    scale = ScoreScale(1.0, 40.0)
    found = decode_map(encode_map(anomaly_map, scale))
    apart = np.abs(scale.of_cells(found) - scale.of_cells(anomaly_map))
    assert apart.max() <= 1 / 512 * 1.01


def test_two_maps_of_one_model_are_as_bright_as_their_values() -> None:
    good, bad = np.full((2, 2), 0.2, np.float32), np.array([[0.2, 0.2], [0.2, 9.0]], np.float32)
    scale = ScoreScale(1.0, 0.5)
    assert glow_of(encode_map(good, scale)).max() == 0
    assert glow_of(encode_map(bad, scale)).max() > 0.9
    assert glow_of(encode_map(good)).max() == 0
    assert glow_of(encode_map(bad)).max() == 1


@pytest.mark.parametrize(
    ("scale", "complaint"),
    [
        ({}, "does not say"),
        ({MAP_MIN: "0.0"}, "does not say"),
        ({MAP_MIN: "0.0", MAP_MAX: "high"}, "does not say"),
        ({MAP_MIN: "0.0", MAP_MAX: "nan"}, "from 0.0 to nan"),
        ({MAP_MIN: "0.0", MAP_MAX: "inf"}, "from 0.0 to inf"),
        ({MAP_MIN: "-1e39", MAP_MAX: "0.0"}, r"from -1e\+39 to 0.0"),
        ({MAP_THRESHOLD: "1.0"}, "does not say"),
        ({MAP_THRESHOLD: "1.0", MAP_SPREAD: "0"}, "0.0 is its spread"),
        ({MAP_THRESHOLD: "1.0", MAP_SPREAD: "inf"}, "from 1.0 to inf"),
        ({MAP_THRESHOLD: "1e39", MAP_SPREAD: "1.0"}, r"1e\+39 its threshold"),
        ({MAP_MIN: "1.0", MAP_MAX: "0.0"}, "from 1.0 to 0.0"),
    ],
)
def test_a_png_without_a_scale_is_no_map(scale: dict[str, str], complaint: str) -> None:
    for read in (decode_map, glow_of):
        with pytest.raises(UndecodablePicture, match=complaint):
            read(a_png(scale))


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
