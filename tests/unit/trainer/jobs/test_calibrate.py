"""Thresholds bound the false-alarm rate, and say when there are too few frames for the one wanted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steadyline.errors import InvalidConfiguration
from trainer.jobs.calibrate import MOST_SCORES, calibrate, calibration, fewest_scores


def test_the_rank_is_that_of_split_conformal_prediction() -> None:
    scores = list(range(1, 100))  # n = 99, alpha = .05: ceil(100 * .95) = 95
    found = calibration([float(s) for s in scores], 0.05)
    assert found.threshold == 95
    assert found.achieved_rate == pytest.approx(0.05)


def test_too_few_scores_give_the_largest_one_and_the_rate_it_bounds() -> None:
    found = calibration([3.0, 1.0, 2.0], 0.01)
    assert found.threshold == 3
    assert found.achieved_rate == pytest.approx(0.25)
    assert found.scores == [1, 2, 3]


def test_ninety_nine_frames_are_just_enough_for_one_percent() -> None:
    assert fewest_scores(0.01) == 99
    assert calibration([float(i) for i in range(99)], 0.01).achieved_rate == pytest.approx(0.01)
    assert calibration([float(i) for i in range(98)], 0.01).achieved_rate > 0.01


@given(st.integers(1, 60), st.floats(0.01, 0.5))
def test_new_normals_alarm_no_more_often_than_achieved(n: int, rate: float) -> None:
    """Over all n+1 places that a new exchangeable score can take, at most the achieved rate alarms."""
    ranks = [float(rank) for rank in range(n + 1)]
    alarms = sum(new > calibration([rank for rank in ranks if rank != new], rate).threshold for new in ranks)
    assert alarms / (n + 1) <= calibration(ranks[1:], rate).achieved_rate + 1e-9


def test_a_camera_with_enough_frames_has_its_own_threshold() -> None:
    found = calibrate({"": [0.0] * 10, "east": [1.0] * 19, "west": [2.0] * 3}, 0.05)
    assert set(found.calibrations) == {"*", "east"}
    assert found.calibrations["east"].threshold == 1
    assert len(found.calibrations["*"].scores) == 32
    assert len(found.notes) == 1
    assert "west has 3 held-out normals of 19 needed" in found.notes[0]


def test_a_product_with_too_few_frames_is_told() -> None:
    found = calibrate({"": [0.0, 1.0]}, 0.01)
    assert "2 held-out normals are too few" in found.notes[0]
    assert "0.333" in found.notes[0]


def test_many_scores_are_thinned_and_quantiles_stay() -> None:
    found = calibration([float(i) for i in range(100_000)], 0.1)
    assert len(found.scores) == MOST_SCORES
    assert found.threshold == pytest.approx(90_000, rel=0.002)


def test_no_score_at_all_is_a_clear_error() -> None:
    with pytest.raises(InvalidConfiguration, match="no held-out normal"):
        calibrate({"": []}, 0.01)
