"""A model that has gone blind is called so; one that is merely modest, or unlucky once, is not."""

import math
import random

import pytest

from trainer.monitor.detection import DetectionMonitor, MonitorRound


def a_round(found: int, of: int = 16, false_alarms: int = 0) -> MonitorRound:
    anomalies = {"scar": [2.0 + i / 100 if i < found else 0.1 for i in range(of)]}
    normals = [2.0 if i < false_alarms else 0.1 + i / 1000 for i in range(of)]
    return MonitorRound(anomalies, normals, threshold=1.0)


def test_a_model_that_finds_nothing_any_more_is_blind_in_the_first_round() -> None:
    reason = DetectionMonitor(expected=0.9, floor=0.5).judge(a_round(0))
    assert reason is not None
    assert reason.startswith("low_detection")


def test_a_constant_model_is_blind_on_either_side_of_the_threshold() -> None:
    for score in (0.0, 5.0):
        seen = MonitorRound({"scar": [score] * 4}, [score] * 4, threshold=1.0)
        assert str(DetectionMonitor(0.9, 0.5).judge(seen)).startswith("constant_scores")


def test_a_model_that_answers_with_no_number_is_blind() -> None:
    for score in (math.nan, math.inf):
        seen = MonitorRound({"scar": [2.0, score]}, [0.1, 0.2], threshold=1.0)
        assert str(DetectionMonitor(0.9, 0.5).judge(seen)).startswith("not_finite")


def test_a_model_that_alarms_on_everything_is_blind() -> None:
    assert str(DetectionMonitor(0.9, 0.5).judge(a_round(16, false_alarms=8))).startswith("alarms_on_normals")


def test_a_modest_model_is_not_called_blind_by_chance() -> None:
    chance = random.Random(0)
    sight = DetectionMonitor(expected=0.4, floor=0.5)
    calls = [sight.judge(a_round(sum(chance.random() < 0.4 for _ in range(16)))) for _ in range(2000)]
    assert calls.count(None) >= 1999


def test_a_modest_model_that_lost_its_sight_is_found_within_a_few_rounds() -> None:
    sight = DetectionMonitor(expected=0.4, floor=0.5)
    calls = [sight.judge(a_round(0)) for _ in range(4)]
    assert calls[-1] is not None


@pytest.mark.parametrize("expected", [0.0, 0.001, 0.05])
@pytest.mark.parametrize("samples", [2, 16, 64, 200])
def test_a_model_that_was_blind_from_birth_is_called_blind_whatever_was_expected_of_it(
    expected: float, samples: int
) -> None:
    sight = DetectionMonitor(expected=expected, floor=0.5)
    calls = [sight.judge(a_round(0, of=samples)) for _ in range(-(-128 // samples))]
    assert str(calls[-1]).startswith("low_detection: 0 of ")


def test_a_model_whose_figure_was_made_up_is_judged_by_what_it_finds() -> None:
    for expected in (0.0, math.nan, -1e9):
        assert DetectionMonitor(expected, floor=0.5).judge(a_round(0, of=128)) is not None
        assert DetectionMonitor(expected, floor=0.5).judge(a_round(40, of=128)) is None


def test_a_model_that_finds_little_more_than_the_least_is_not_called_blind_by_chance() -> None:
    chance = random.Random(1)
    sight = DetectionMonitor(expected=0.15, floor=0.5)
    calls = [sight.judge(a_round(sum(chance.random() < 0.15 for _ in range(16)))) for _ in range(2000)]
    assert calls.count(None) >= 1995


def test_a_model_that_sees_again_is_no_longer_blind() -> None:
    sight = DetectionMonitor(expected=0.9, floor=0.5)
    assert sight.judge(a_round(0)) is not None
    assert sight.judge(a_round(0)) is not None
    reasons = [sight.judge(a_round(15)) for _ in range(3)]
    assert reasons[-1] is None
    assert not sight.blind


def test_detection_is_told_per_transform() -> None:
    seen = MonitorRound({"scar": [2.0, 0.0], "cutout": [2.0]}, [0.0, 2.0, 0.0, 0.0], threshold=1.0)
    assert seen.detection() == {"cutout": 1.0, "scar": 0.5}
    assert seen.false_alarm_rate() == 0.25
