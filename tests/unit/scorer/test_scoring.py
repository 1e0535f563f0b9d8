"""The pure part: p-value, verdict, peak."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from scorer.scoring import area_above, find_peak, louder, p_value, score_frame
from steadyline.contracts.model_event import PRODUCT_WIDE, Calibration, calibration_of
from steadyline.errors import UnscorableFrame

finite = st.floats(-1e6, 1e6, allow_nan=False)
normals = st.lists(finite, min_size=1, max_size=50).map(sorted)
maps = hnp.arrays(
    np.float32, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.floats(-9, 9, width=32)
)


@given(normals, finite)
def test_a_p_value_is_above_zero_and_at_most_one(scores: list[float], score: float) -> None:
    assert 0 < p_value(score, scores) <= 1


@given(normals, finite, finite)
def test_a_higher_score_never_has_a_higher_p_value(scores: list[float], one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert p_value(high, scores) <= p_value(low, scores)


@given(normals)
def test_the_normals_themselves_reach_no_level_more_often_than_the_level(scores: list[float]) -> None:
    n = len(scores)
    found = [p_value(score, scores[:at] + scores[at + 1 :]) for at, score in enumerate(scores)]
    for level in (0.05, 0.1, 0.25, 0.5):
        assert sum(value <= level for value in found) <= math.floor(level * n + 1e-9)


@given(normals, finite, maps)
def test_the_verdict_is_anomalous_exactly_above_the_threshold(
    scores: list[float], score: float, anomaly_map: np.ndarray
) -> None:
    calibration = Calibration(scores=scores, threshold=scores[-1], achieved_rate=1e-9)
    scored = score_frame(score, anomaly_map, calibration)
    assert scored.verdict == ("anomalous" if score > scores[-1] else "normal")
    assert scored.threshold == scores[-1]


@given(maps)
def test_the_peak_is_the_centre_of_a_highest_cell(anomaly_map: np.ndarray) -> None:
    peak = find_peak(anomaly_map)
    row, column = int(peak.y * anomaly_map.shape[0]), int(peak.x * anomaly_map.shape[1])
    assert anomaly_map[row, column] == anomaly_map.max() == np.float32(peak.value)
    assert math.isclose(peak.x, (column + 0.5) / anomaly_map.shape[1])
    assert math.isclose(peak.y, (row + 0.5) / anomaly_map.shape[0])


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
def test_a_score_that_is_not_finite_is_refused(score: float) -> None:
    with pytest.raises(UnscorableFrame):
        score_frame(
            score, np.zeros((2, 2), np.float32), Calibration(scores=[0], threshold=0, achieved_rate=1)
        )


def test_a_map_with_a_cell_that_is_not_finite_is_refused() -> None:
    anomaly_map = np.array([[0, math.nan]], np.float32)
    with pytest.raises(UnscorableFrame):
        score_frame(0.0, anomaly_map, Calibration(scores=[0], threshold=0, achieved_rate=1))


def test_a_camera_without_its_own_calibration_has_the_products() -> None:
    product = Calibration(scores=[0], threshold=0, achieved_rate=1)
    own = Calibration(scores=[1], threshold=1, achieved_rate=1)
    calibrations = {PRODUCT_WIDE: product, "c1": own}
    assert calibration_of("c1", calibrations) is own
    assert calibration_of("c2", calibrations) is product


@given(maps, finite, finite)
def test_a_part_of_the_map_is_above_the_threshold_exactly_when_the_frame_is_anomalous(
    anomaly_map: np.ndarray, score: float, threshold: float
) -> None:
    area = area_above(anomaly_map, score, threshold)
    assert 0 <= area <= 1
    assert (area > 0) == (score > threshold)


@given(maps.map(np.round))
def test_where_the_score_is_the_highest_cell_the_area_is_the_share_above_the_threshold(
    anomaly_map: np.ndarray,
) -> None:
    peak = float(anomaly_map.max())
    for threshold in (-3.0, 0.0, 2.5):
        above = float((anomaly_map > threshold).mean())
        assert area_above(anomaly_map, peak, threshold) == above


def test_a_score_that_is_a_mean_of_the_worst_cells_moves_the_threshold_on_the_map() -> None:
    anomaly_map = np.array([[9, 7, 3, 0]], np.float32)
    assert area_above(anomaly_map, 8.0, 5.0) == 0.5
    assert area_above(anomaly_map + 100, 8.0, 5.0) == 0.5


def test_the_half_that_found_more_spoke() -> None:
    assert louder(np.array([0.5, 0.25], np.float32), ["patch", "robust"]) == "patch"
    assert louder(np.array([-2.0, -1.0], np.float32), ["patch", "robust"]) == "robust"
    with pytest.raises(UnscorableFrame, match="halves"):
        louder(np.array([np.nan, 1.0], np.float32), ["patch", "robust"])
