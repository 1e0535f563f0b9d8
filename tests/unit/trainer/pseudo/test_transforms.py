"""Each distortion is a pure function of its parameters."""

import numpy as np
import pytest

from steadyline.grid import Grid
from tests.support.parts import good_parts
from trainer.evaluation.localisation import components
from trainer.pseudo.kinds import LOCAL_SHARES, PAPER_SHARES, TRANSFORMS
from trainer.pseudo.shape import draw_margin, margin
from trainer.pseudo.transform import Picture


def floats(seed: int, size: int = 48, channels: int = 1) -> Picture:
    return np.asarray(good_parts(1, size, channels, seed)[0] / 255, np.float32)


@pytest.mark.parametrize("name", sorted(TRANSFORMS))
@pytest.mark.parametrize("channels", [1, 3])
def test_a_picture_stays_a_picture(name: str, channels: int) -> None:
    rng = np.random.default_rng(3)
    picture, donor = floats(0, 48, channels), floats(1, 48, channels)
    for _ in range(25):
        found = TRANSFORMS[name].apply(picture, donor, TRANSFORMS[name].draw(rng))
        assert found.shape == picture.shape
        assert found.dtype == np.float32
        assert np.isfinite(found).all()
        assert found.min() >= 0
        assert found.max() <= 1


@pytest.mark.parametrize("name", sorted(TRANSFORMS))
def test_the_same_parameters_give_the_same_picture_and_leave_the_normal_alone(name: str) -> None:
    picture, donor = floats(0), floats(1)
    before = picture.copy()
    parameters = TRANSFORMS[name].draw(np.random.default_rng(5))
    first = TRANSFORMS[name].apply(picture, donor, parameters)
    second = TRANSFORMS[name].apply(picture, donor, dict(parameters))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(picture, before)


@pytest.mark.parametrize("name", sorted(TRANSFORMS))
def test_parameters_are_numbers_and_words_that_fit_any_size(name: str) -> None:
    rng = np.random.default_rng(7)
    for _ in range(20):
        parameters = TRANSFORMS[name].draw(rng)
        assert all(type(value) in (float, int, str) for value in parameters.values())
        for size in (32, 96):
            TRANSFORMS[name].apply(floats(0, size), floats(1, size), parameters)


@pytest.mark.parametrize("name", ["crack", "dots", "polygon", "streak", "scar", "window", "cut-out"])
def test_a_local_defect_leaves_most_of_the_picture_as_it_was(name: str) -> None:
    rng = np.random.default_rng(11)
    picture, donor = floats(0), floats(1)
    shares = [
        (np.abs(TRANSFORMS[name].apply(picture, donor, TRANSFORMS[name].draw(rng)) - picture) > 0.02).mean()
        for _ in range(40)
    ]
    assert 0.0 < np.mean(shares) < 0.35


@pytest.mark.parametrize("quarter", range(4))
def test_a_margin_covers_one_side_of_its_edge_and_nothing_else(quarter: int) -> None:
    straight = {"depth": 0.25, "bend": 0.0, "softness": 0.0, "seed": 1}
    found = margin(Grid.square(64), {**straight, "angle": quarter * np.pi / 2})
    wanted = np.zeros((64, 64), bool)
    wanted[:16] = True
    np.testing.assert_array_equal(found > 0.5, np.rot90(wanted, -quarter))


def test_an_edge_wanders_but_a_margin_stays_in_one_piece() -> None:
    rng = np.random.default_rng(2)
    for _ in range(20):
        mask = margin(Grid.square(64), draw_margin(rng)) > 0.5
        assert 0.01 < mask.mean() < 0.75
        assert components(mask).max() == 1


def test_how_a_margin_is_painted_is_its_own_choice() -> None:
    rng = np.random.default_rng(4)
    looks = [TRANSFORMS["margin"].draw(rng)["look"] for _ in range(200)]
    assert 0.2 < looks.count("grain") / 200 < 0.5
    assert 0.08 < looks.count("surface") / 200 < 0.3
    assert "level" not in looks
    stains = [TRANSFORMS["polygon"].draw(rng)["look"] for _ in range(200)]
    assert stains.count("darken") > 80


def half_margin(**how: float | str) -> dict[str, float | int | str]:
    whole = {"angle": 0.0, "depth": 0.5, "bend": 0.0, "softness": 0.0, "seed": 1, "uneven": 0}
    return {**whole, "contrast": 1.0, "shift": 0.0, "shift_axis": 0, **how}


def test_a_coarser_grain_spreads_the_detail_and_keeps_the_light() -> None:
    picture = np.random.default_rng(0).uniform(0.4, 0.6, (64, 64, 1)).astype(np.float32)
    found = TRANSFORMS["margin"].apply(picture, picture, half_margin(look="grain", grain=1.0, gloss=0.0))
    np.testing.assert_array_equal(found[34:], picture[34:])
    assert found[:30].std() == pytest.approx(2 * picture[:30].std(), rel=0.1)
    assert found[:30].mean() == pytest.approx(picture[:30].mean(), abs=0.01)


@pytest.mark.parametrize("own_light", [0.0, 1.0])
def test_another_surface_comes_with_its_light_or_takes_on_the_parts(own_light: float) -> None:
    rng = np.random.default_rng(0)
    picture = rng.uniform(0.2, 0.3, (64, 64, 1)).astype(np.float32)
    donor = rng.uniform(0.6, 0.8, (64, 64, 1)).astype(np.float32)
    found = TRANSFORMS["margin"].apply(picture, donor, half_margin(look="surface", own_light=own_light))
    np.testing.assert_array_equal(found[34:], picture[34:])
    wanted = picture if own_light else donor
    assert found[:30].mean() == pytest.approx(wanted[:30].mean(), abs=0.02)
    assert found[:30].std() > 1.5 * picture[:30].std()


def test_a_permutation_keeps_every_pixel() -> None:
    picture = floats(0)
    found = TRANSFORMS["permute"].apply(picture, picture, {"first": 0, "second": 3})
    np.testing.assert_array_equal(np.sort(found.ravel()), np.sort(picture.ravel()))
    assert not np.array_equal(found, picture)


def test_a_quarter_turn_is_exact() -> None:
    picture = floats(0)
    found = TRANSFORMS["rotation"].apply(picture, picture, {"degrees": 90.0})
    np.testing.assert_allclose(found, np.rot90(picture, -1), atol=1e-5)


def test_every_share_names_a_transform() -> None:
    assert set(LOCAL_SHARES) | set(PAPER_SHARES) <= set(TRANSFORMS)
