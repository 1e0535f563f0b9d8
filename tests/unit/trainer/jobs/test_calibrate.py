"""Thresholds bound the false-alarm rate, say when frames are too few, and are moved by no single one."""

import random
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steadyline.errors import InvalidConfiguration
from trainer.jobs.calibrate import (
    MOST_NAMED,
    MOST_SCORES,
    HeldOutScore,
    calibrate,
    calibration,
    fewest_scores,
)


def held_out(scores: Sequence[float], camera: str = "", name: str = "good") -> list[HeldOutScore]:
    return [HeldOutScore(f"{camera}{name}{n}", camera, score) for n, score in enumerate(scores)]


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


@given(st.lists(st.integers(-50, 50), min_size=1, max_size=60, unique=True), st.floats(0.01, 0.5))
def test_the_achieved_rate_is_that_of_the_rank_among_all_even_those_left_out(
    honest: list[int], rate: float
) -> None:
    scores = [float(score) for score in [*honest, 10_000, 20_000]]
    found = calibrate(held_out(scores), rate).calibrations["*"]
    above = sum(score > found.threshold for score in scores)
    assert found.achieved_rate == pytest.approx(max(rate, (above + 1) / (len(scores) + 1)))


@pytest.mark.parametrize("n", [8, 24, 50, 98, 99, 120, 198, 199, 500])
@pytest.mark.parametrize("share", [0.0, 0.012, 0.05, 0.1, 0.2])
@pytest.mark.parametrize("far", [20.0, 50.0, 1e30, float(np.finfo(np.float32).max)])
def test_held_out_frames_that_are_no_normals_do_not_lift_the_threshold_and_are_named(
    n: int, share: float, far: float
) -> None:
    chance = random.Random(n)
    honest, poison = [chance.gauss(0, 1) for _ in range(n)], [far] * max(1, round(n * share))
    clean = calibrate(held_out(honest), 0.01)
    found = calibrate([*held_out(honest), *held_out(poison, name="bad")], 0.01)
    assert found.calibrations["*"].threshold == clean.calibrations["*"].threshold
    assert {one.frame for one in found.left_out} == {f"bad{k}" for k in range(len(poison))}
    assert "look at them: bad0" in found.notes[0]
    bound = found.calibrations["*"].achieved_rate
    assert bound >= len(poison) / (n + len(poison) + 1)
    assert f"up to {bound:.3f} of the normals alarm" in found.notes[0]
    assert found.left_out_text().count("bad") == min(MOST_NAMED, len(poison))


@pytest.mark.parametrize("n", [8, 50, 120, 500])
def test_honest_normals_are_left_out_as_seldom_as_the_rule_says(n: int) -> None:
    chance = np.random.default_rng(n)
    tails = {"normal": chance.standard_normal, "exponential": chance.standard_exponential}
    often = {
        name: sum(bool(calibrate(held_out(draw(n).tolist()), 0.01).left_out) for _ in range(200)) / 200
        for name, draw in tails.items()
    }
    assert often["normal"] <= (0.1 if n == 8 else 0.01)
    assert often["exponential"] <= (0.3 if n == 8 else 0.12)


def test_scores_that_hardly_differ_are_all_believed() -> None:
    for scores in ([0.5] * 40, [0.0] * 30 + [1.0] * 10, [1.0] * 3 + [50.0]):
        assert calibrate(held_out(scores), 0.01).left_out == ()


def test_a_frame_is_measured_against_its_own_camera_and_against_all_when_that_has_few() -> None:
    chance = random.Random(0)
    dark = held_out([40 + chance.gauss(0, 1) for _ in range(20)], "dark")
    east = held_out([chance.gauss(0, 1) for _ in range(200)], "east")
    assert calibrate([*dark, *east], 0.01).left_out == ()
    lone = [HeldOutScore("new/7/1", "new", 400.0)]
    hidden = [HeldOutScore("east/7/999", "east", 40.0)]
    found = calibrate([*dark, *east, *lone, *hidden], 0.01)
    assert [one.frame for one in found.left_out] == ["new/7/1", "east/7/999"]
    assert found.calibrations["east"].threshold < 5


def test_a_camera_with_enough_frames_has_its_own_threshold() -> None:
    scores = [*held_out([0.0] * 10), *held_out([1.0] * 19, "east"), *held_out([2.0] * 3, "west")]
    found = calibrate(scores, 0.05)
    assert set(found.calibrations) == {"*", "east"}
    assert found.calibrations["east"].threshold == 1
    assert len(found.calibrations["*"].scores) == 32
    assert len(found.notes) == 1
    assert "west has 3 held-out normals of 19 needed" in found.notes[0]


def test_a_product_with_too_few_frames_is_told() -> None:
    found = calibrate(held_out([0.0, 1.0]), 0.01)
    assert "2 held-out normals are too few" in found.notes[0]
    assert "0.333" in found.notes[0]


def test_many_scores_are_thinned_and_quantiles_stay() -> None:
    found = calibration([float(i) for i in range(100_000)], 0.1)
    assert len(found.scores) == MOST_SCORES
    assert found.threshold == pytest.approx(90_000, rel=0.002)


def test_no_score_at_all_is_a_clear_error() -> None:
    with pytest.raises(InvalidConfiguration, match="no held-out normal"):
        calibrate([], 0.01)
