"""Defects as papers synthesise them: where they lie, what fills them, and that a blend has no seam."""

import numpy as np
import pytest

from tests.support.parts import good_parts
from trainer.pseudo.kinds import TRANSFORMS
from trainer.pseudo.synthetic import STRATEGIES, membrane
from trainer.pseudo.synthetic import TRANSFORMS as SYNTHETIC
from trainer.pseudo.transform import Parameters, Picture


def floats(seed: int, size: int = 64) -> Picture:
    return np.asarray(good_parts(1, size, 1, seed)[0] / 255, np.float32)


def test_every_strategy_of_the_paper_draws_from_the_bank_s_transforms() -> None:
    assert set(STRATEGIES) == {"draem", "nsa", "texture", "shape", "both"}
    assert {name for shares in STRATEGIES.values() for name in shares} == {one.name for one in SYNTHETIC}
    assert {one.name for one in SYNTHETIC} <= set(TRANSFORMS)


def test_a_membrane_keeps_its_border_and_is_the_mean_of_its_neighbours_within() -> None:
    values = np.random.default_rng(1).random((9, 14)).astype(np.float32)
    found = membrane(values)
    for border in (np.s_[0, 1:-1], np.s_[-1, 1:-1], np.s_[1:-1, 0], np.s_[1:-1, -1]):
        np.testing.assert_array_equal(found[border], values[border])
    neighbours = found[2:, 1:-1] + found[:-2, 1:-1] + found[1:-1, 2:] + found[1:-1, :-2]
    np.testing.assert_allclose(found[1:-1, 1:-1], neighbours / 4, atol=1e-5)


def test_a_straight_slope_stays_one() -> None:
    slope = np.add.outer(np.arange(8), 2 * np.arange(12)).astype(np.float32)
    np.testing.assert_allclose(membrane(slope), slope, atol=1e-4)


def test_a_blended_piece_has_the_border_of_the_picture_it_is_blended_into() -> None:
    picture = floats(0)
    place = {"height": 0.25, "width": 0.25, "x": 0.5, "y": 0.5}
    of: Parameters = {**place, "from_x": 0.1, "from_y": 0.9, "scale": 1.0, "gain": 1.5}
    found = TRANSFORMS["blend"].apply(picture, floats(5), of)
    changed = np.abs(found - picture)[..., 0] > 1e-6
    rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
    # 16 of 64 pixels, its own border of one pixel unchanged
    assert (rows[0], rows[-1], columns[0], columns[-1]) == (25, 38, 25, 38)


@pytest.mark.parametrize("fill", ["texture", "colour"])
def test_a_rectangle_changes_nothing_outside_of_it_and_all_within(fill: str) -> None:
    picture = np.full((64, 64, 1), 0.5, np.float32)
    of: Parameters = {"height": 0.25, "width": 0.125, "x": 0, "y": 1, "kept": 0.2, "seed": 3}
    changed = TRANSFORMS[f"rectangle-{fill}"].apply(picture, picture, of)[..., 0] != 0.5
    assert changed[48:, :8].mean() > 0.95
    assert not changed[:48].any()
    assert not changed[:, 8:].any()


def test_a_colour_is_one_level_and_a_texture_is_not() -> None:
    picture = np.full((64, 64, 1), 0.5, np.float32)
    of: Parameters = {"knots_y": 4, "knots_x": 8, "kept": 0.0, "seed": 7}
    spread = {}
    for fill in ("colour", "texture"):
        found = TRANSFORMS[f"perlin-{fill}"].apply(picture, picture, of)
        spread[fill] = float(found[found != 0.5].std())
    assert spread["colour"] < 1e-6
    assert spread["texture"] > 0.01
