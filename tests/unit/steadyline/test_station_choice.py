"""Which correction holds is said by the lower half of the scores, whatever the other half shows."""

import numpy as np
import pytest

from steadyline.correction import IDENTITY, Correction
from steadyline.station_choice import Behind, candidates_of, chance_margin, choose, distance, threshold_shift

NORMALS = np.sort(np.random.default_rng(0).normal(0.2, 0.05, 400))
BRIGHTER = Correction((1.6,), (0.0,))


def affine(scores: np.ndarray) -> list[Behind]:
    return [("affine", BRIGHTER, scores)]


def good(count: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).choice(NORMALS, count)


def with_defects(scores: np.ndarray) -> np.ndarray:
    return np.concatenate([scores[: len(scores) // 2], np.full(len(scores) - len(scores) // 2, 0.9)])


@pytest.mark.parametrize("seed", range(5))
def test_good_parts_and_parts_of_which_half_are_defective_need_nothing(seed: int) -> None:
    for scores in (good(8, seed), with_defects(good(8, seed))):
        assert (
            choose(candidates_of(scores, affine(scores - 0.01), NORMALS), NORMALS.tolist()).chosen.kind
            is None
        )


@pytest.mark.parametrize("defective", [False, True])
def test_a_correction_holds_that_brings_the_scores_back(defective: bool) -> None:
    scores = with_defects(good(8)) if defective else good(8)
    found = choose(candidates_of(scores + 0.6, affine(scores), NORMALS), NORMALS.tolist())
    assert (found.chosen.kind, found.chosen.correction) == ("affine", BRIGHTER)
    assert found.after < found.before - found.margin


@pytest.mark.parametrize("defective", [False, True])
def test_where_no_correction_brings_them_back_the_threshold_is_shifted(defective: bool) -> None:
    scores = with_defects(good(8)) if defective else good(8)
    found = choose(candidates_of(scores + 0.1, affine(scores + 0.1), NORMALS), NORMALS.tolist())
    assert found.chosen.kind == "shift"
    assert found.chosen.correction == IDENTITY
    # Good parts beside as many defective ones are taken for the lower half of twice as many: a little high.
    assert found.chosen.threshold_shift == pytest.approx(0.1, abs=0.1 if defective else 0.05)


def test_of_corrections_that_are_equally_near_the_simplest_holds() -> None:
    scores = good(8)
    tilted: Behind = ("gradient", Correction((1.6,), (0.0,), (0.1, 0.0)), scores)
    behind = [*affine(scores), tilted]
    assert choose(candidates_of(scores + 0.6, behind, NORMALS), NORMALS.tolist()).chosen.kind == "affine"


def test_a_correction_that_makes_it_worse_never_holds() -> None:
    scores = good(8)
    found = choose(candidates_of(scores, affine(scores + 0.5), NORMALS), NORMALS.tolist())
    assert found.chosen.kind is None


def test_the_threshold_is_shifted_by_no_more_than_the_normals_span() -> None:
    shift = candidates_of(good(8) + 100, [], NORMALS)[1].threshold_shift
    assert shift == pytest.approx(NORMALS[-1] - NORMALS[0])


def test_defects_move_neither_distance_nor_shift_far() -> None:
    scores = np.sort(good(8))
    spoilt = np.concatenate([scores[:4], np.full(4, 50.0)])
    assert distance(spoilt, NORMALS) == distance(scores, NORMALS)
    assert threshold_shift(spoilt, NORMALS) == threshold_shift(scores, NORMALS)


def test_chance_explains_more_of_fewer_pictures() -> None:
    assert chance_margin(NORMALS, 8) > chance_margin(NORMALS, 32)
