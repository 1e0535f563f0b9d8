"""One scale for scores: 0.5 is the threshold, higher stays higher, nothing reaches 0 or 1."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from steadyline.score_scale import ScoreScale

finite = st.floats(-1e300, 1e300, allow_nan=False)
normals = st.lists(finite, min_size=1, max_size=50).map(sorted)
maps = hnp.arrays(
    np.float32, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.floats(-9, 9, width=32)
)


@given(normals, finite)
def test_the_threshold_is_a_half_and_only_what_is_above_it_is_more(scores: list[float], score: float) -> None:
    for threshold in (scores[0], scores[-1]):
        scale = ScoreScale.of(scores, threshold)
        assert scale.spread > 0
        assert scale.calibrated(threshold) == 0.5
        assert (scale.calibrated(score) > 0.5) == (score > threshold)
        assert 0 < scale.calibrated(score) < 1


@given(normals, finite, finite)
def test_a_higher_score_is_never_lower_on_the_scale(scores: list[float], one: float, other: float) -> None:
    scale = ScoreScale.of(scores, scores[-1])
    low, high = sorted((one, other))
    assert scale.calibrated(low) <= scale.calibrated(high)


def test_a_spread_is_from_the_median_of_the_normals_to_their_95th_percentile() -> None:
    scores = [float(one) for one in range(101)]
    scale = ScoreScale.of(scores, 99.0)
    assert scale == ScoreScale(99.0, 45.0)
    assert [scale.calibrated(99.0 + one * 45) for one in (-1, 0, 1, 9)] == pytest.approx(
        [0.25, 0.5, 0.75, 0.95]
    )


@pytest.mark.parametrize(("scores", "threshold", "spread"), [([3.0], 3.0, 1.0), ([3.0] * 9, 5.0, 2.0)])
def test_normals_that_are_all_alike_have_a_spread_too(
    scores: list[float], threshold: float, spread: float
) -> None:
    assert ScoreScale.of(scores, threshold).spread == spread


def test_another_threshold_moves_the_half_and_nothing_else() -> None:
    scores = [0.0, 1.0, 2.0, 3.0]
    low, high = ScoreScale.of(scores, 2.0), ScoreScale.of(scores, 3.0)
    assert low.calibrated(2.5) == high.calibrated(3.5)


@given(maps, st.floats(-9, 9), st.floats(-9, 9))
def test_some_cell_is_above_the_threshold_exactly_where_the_frame_is(
    anomaly_map: np.ndarray, score: float, threshold: float
) -> None:
    cells = ScoreScale(threshold, 1.0).on_map(anomaly_map, score).of_cells(anomaly_map)
    assert cells.shape == anomaly_map.shape
    assert not math.isclose(score, threshold, abs_tol=1e-9) or cells.max() == pytest.approx(0.5)
    if not math.isclose(score, threshold, abs_tol=1e-9):
        assert (cells.max() > 0.5) == (score > threshold)
