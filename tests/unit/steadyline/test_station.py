"""From a few pictures of a station: the correction that brings back what good parts looked like."""

import numpy as np
import pytest

from steadyline.correction import corrected
from steadyline.station import Reference, corrections, median_picture, reference_of

RIGHT = np.linspace(0.75, 1.25, 32)[None, None, :, None]


def parts(count: int, seed: int = 0, channels: int = 1) -> np.ndarray:
    """Good parts in their place: one drawing, with noise of their own."""
    random = np.random.default_rng(seed)
    drawing = (
        90 + 60 * np.sin(np.arange(32) / 3)[None, :, None, None] * np.cos(np.arange(32) / 4)[:, None, None]
    )
    noisy = drawing + random.normal(0, 6, (count, 32, 32, channels))
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


def textures(count: int, seed: int = 0) -> np.ndarray:
    """Good parts without a place: noise, of which no two pictures share anything."""
    noise = np.random.default_rng(seed).normal(110, 30, (count, 32, 32, 1))
    return np.clip(np.rint(noise), 0, 255).astype(np.uint8)


def defective(pictures: np.ndarray) -> np.ndarray:
    """The same parts, each with a black hole somewhere."""
    found = pictures.copy()
    for place, picture in enumerate(found):
        picture[4 * (place % 6) : 4 * (place % 6) + 12, 2 : 2 + 20] = 0
    return found


def darker(pictures: np.ndarray, light: np.ndarray | float = 0.6) -> np.ndarray:
    return np.clip(np.rint(pictures * light), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("bad", [0, 4])
def test_eight_pictures_bring_the_light_back_and_four_of_them_may_be_defective(bad: int) -> None:
    reference = reference_of(parts(60))
    assert reference.is_aligned
    station = parts(8, seed=1)
    station[:bad] = defective(station[:bad])
    found = corrections(reference, darker(station))["affine"]
    assert found.gains[0] == pytest.approx(1 / 0.6, rel=0.1)
    back = corrected(found, darker(parts(8, seed=2)))
    assert np.abs(back.mean(axis=0) - parts(8, seed=2).mean(axis=0)).mean() < 3


def test_textures_are_compared_by_what_each_picture_has_for_their_median_has_no_contrast() -> None:
    reference = reference_of(textures(60))
    assert not reference.is_aligned
    found = corrections(reference, darker(textures(8, seed=1)))["affine"]
    assert found.gains[0] == pytest.approx(1 / 0.6, rel=0.05)
    assert found.offsets[0] == pytest.approx(0, abs=6)


def test_a_gradient_of_a_quarter_is_divided_out() -> None:
    reference, station = reference_of(parts(60)), darker(parts(8, seed=1), RIGHT)
    found = corrections(reference, station)["gradient"]
    assert found.slopes[0] == pytest.approx(-0.25, abs=0.05)
    assert found.slopes[1] == pytest.approx(0, abs=0.03)
    clean = parts(8, seed=2).mean(axis=0)
    before = np.abs(darker(parts(8, seed=2), RIGHT).mean(axis=0) - clean).mean()
    after = np.abs(corrected(found, darker(parts(8, seed=2), RIGHT)).mean(axis=0) - clean).mean()
    assert after < before / 5


def test_warmer_light_is_put_right_channel_by_channel() -> None:
    reference = reference_of(parts(60, channels=3))
    warm = darker(parts(8, seed=1, channels=3), np.array([1.2, 1.0, 0.8]))
    found = corrections(reference, warm)["white_balance"]
    assert found.gains == pytest.approx((1 / 1.2, 1, 1 / 0.8), rel=0.05)


def test_what_shows_nothing_and_what_is_too_dark_get_no_correction() -> None:
    reference = reference_of(parts(60))
    assert corrections(reference, np.full((8, 32, 32, 1), 7, np.uint8)) == {}
    assert "affine" not in corrections(reference, darker(parts(8), 0.1))


def test_a_reference_travels_in_an_event() -> None:
    reference = reference_of(parts(200))
    kept = Reference.of(reference.kept())
    np.testing.assert_allclose(kept.field, reference.field, atol=0.005)
    np.testing.assert_allclose(kept.deviations, reference.deviations, atol=0.005)
    assert kept.is_aligned


def test_the_median_is_taken_pixel_by_pixel() -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (7, 9, 11, 3), np.uint8)
    np.testing.assert_array_equal(median_picture(pictures), np.median(pictures, axis=0))
