"""A pseudo-anomaly must have left the normals."""

import numpy as np
import pytest

from tests.support.parts import defective_parts, good_parts
from trainer.pseudo.acceptance import NormalCells, largest_change
from trainer.pseudo.transform import Picture


def floats(pictures: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> Picture:
    return (pictures / 255).astype(np.float32)


@pytest.fixture(scope="module")
def cells() -> NormalCells:
    return NormalCells(floats(good_parts(60)), floats(good_parts(60, seed=2)))


def test_defects_are_less_likely_than_nearly_all_held_out_normals(cells: NormalCells) -> None:
    shares = [cells.share_as_unlikely(picture) for picture in floats(defective_parts(30)[0])]
    assert max(shares) <= 0.05


def test_new_normals_mostly_fail_the_check(cells: NormalCells) -> None:
    shares = [cells.share_as_unlikely(picture) for picture in floats(good_parts(60, seed=9))]
    assert np.mean([share <= 0.05 for share in shares]) < 0.25


def test_normals_it_was_fitted_to_look_likelier_than_held_out_ones() -> None:
    """The reason why the bar comes from held-out normals."""
    fitted, held_out = floats(good_parts(30)), floats(good_parts(60, seed=2))
    cells = NormalCells(fitted, held_out)
    assert np.mean([cells.share_as_unlikely(picture) for picture in fitted]) > 0.8


def test_colour_pictures_are_checked_too() -> None:
    cells = NormalCells(floats(good_parts(30, channels=3)), floats(good_parts(30, channels=3, seed=2)))
    assert cells.share_as_unlikely(floats(defective_parts(1, channels=3)[0])[0]) == 0


def test_the_change_is_the_largest_mean_of_four_pixels() -> None:
    before = np.zeros((32, 32, 1), np.float32)
    after = before.copy()
    after[3, 3] = 0.4
    assert largest_change(before, after) == pytest.approx(0.1)
    after[3:5, 3:5] = 0.4
    assert largest_change(before, after) == pytest.approx(0.4)


def test_a_picture_too_small_to_have_cells_is_refused() -> None:
    with pytest.raises(ValueError, match="smaller than 16"):
        NormalCells(np.zeros((2, 8, 8, 1), np.float32), np.zeros((2, 8, 8, 1), np.float32))
