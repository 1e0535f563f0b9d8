"""Pseudo-anomalies of a wanted size at the camera's own pixels."""

import numpy as np
import pytest

from trainer.arrays import Pictures
from trainer.pseudo.native import native_defects


def _frames(sizes: list[tuple[int, int]], channels: int = 1) -> list[Pictures]:
    rng = np.random.default_rng(0)
    return [rng.integers(40, 200, (*size, channels)).astype(np.uint8) for size in sizes]


@pytest.mark.parametrize("side", [3, 9, 40])
@pytest.mark.parametrize("channels", [1, 3])
def test_nothing_outside_a_square_of_the_wanted_size_changes(side: int, channels: int) -> None:
    frames = _frames([(120, 90), (64, 200), (80, 80)], channels)
    found = native_defects(frames, side, seed=0)
    assert len(found) == 3
    for defect in found:
        y, x, height, width = defect.box
        assert (height, width) == (side, side)
        changed = (defect.picture != frames[defect.source]).any(axis=2)
        assert changed.any()
        changed[y : y + height, x : x + width] = False
        assert not changed.any()


def test_the_same_seed_gives_the_same_defects_and_without_a_size_it_follows_the_frame() -> None:
    frames = _frames([(160, 160)] * 4)
    first, again = (native_defects(frames, None, seed=3) for _ in range(2))
    assert [one.box for one in first] == [one.box for one in again]
    assert all((one.picture == two.picture).all() for one, two in zip(first, again, strict=True))
    assert all(10 <= one.box[2] <= 40 for one in first)


def test_a_defect_larger_than_the_frame_fills_its_shorter_side() -> None:
    assert native_defects(_frames([(20, 30), (20, 30)]), 500, seed=0)[0].box[2:] == (20, 20)
