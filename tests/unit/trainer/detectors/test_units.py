"""Units of normals held aside make scores of different kinds comparable."""

import numpy as np
import pytest

from trainer.detectors.units import held_aside, units_of


@pytest.mark.parametrize("count", [2, 7, 8, 9, 63, 64, 65, 500, 4001])
@pytest.mark.parametrize("seed", [0, 1, 13])
def test_some_normals_are_held_aside_and_most_are_not(count: int, seed: int) -> None:
    aside = held_aside(count, seed)
    assert aside.shape == (count,)
    assert 1 <= aside.sum() <= max(1, count // 4)
    assert np.array_equal(aside, held_aside(count, seed))


def test_neighbours_are_held_aside_together() -> None:
    aside = held_aside(640, 3)
    starts = int(np.sum(np.diff(np.r_[0, aside.astype(int)]) == 1))
    assert aside.sum() == 80
    assert starts == 8


def test_a_few_odd_scores_do_not_move_the_units() -> None:
    scores = np.random.default_rng(0).normal(5, 2, 400).astype(np.float32)
    centre, spread = units_of(scores)
    assert centre == pytest.approx(5, abs=0.3)
    assert spread == pytest.approx(2, rel=0.15)
    odd = units_of(np.concatenate([scores, np.full(20, 1e6, np.float32)]))
    assert odd[0] == pytest.approx(centre, abs=0.3)
    assert odd[1] == pytest.approx(spread, rel=0.15)


def test_scores_that_never_vary_are_not_divided_by_nothing() -> None:
    centre, spread = units_of(np.full(9, 7.0, np.float32))
    assert centre == 7
    assert spread > 0
