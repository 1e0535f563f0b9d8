"""A mask says where a defect lies, not which of its pixels happen to differ."""

import numpy as np

from trainer.pseudo.mask import changed, closed


def test_gaps_within_a_region_are_closed_and_its_outline_stays() -> None:
    region = np.zeros((64, 64), bool)
    region[:24] = True
    speckled = region & (np.random.default_rng(0).random((64, 64)) < 0.7)
    speckled[23] = True
    np.testing.assert_array_equal(closed(speckled, 0.08), region)


def test_two_defects_far_apart_stay_two() -> None:
    dots = np.zeros((64, 64), bool)
    dots[10, 10] = dots[10, 40] = True
    np.testing.assert_array_equal(closed(dots, 0.08), dots)


def test_without_closing_a_mask_is_what_changed() -> None:
    before = np.zeros((32, 32, 1), np.float32)
    after = before.copy()
    after[3, 3], after[3, 5], after[9, 9] = 5 / 255, 5 / 255, 3 / 255
    assert np.argwhere(changed(before, after, 0.0)).tolist() == [[3, 3], [3, 5]]
    assert changed(before, after, 0.08)[3, 4]
