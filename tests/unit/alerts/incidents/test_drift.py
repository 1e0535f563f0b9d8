"""Drift is found in the scores of normal frames, and looking after every frame raises no false alarms."""

import random
from collections.abc import Iterable
from typing import Any

import pytest

from alerts.incidents import acts
from alerts.incidents.observation import ScoreSeen
from tests.support.incidents import DAY, RuleRun, a_line, a_scored_frame

RULES = {"drift": {"tolerance": 0.15, "every": 1, "false_alarm_frames": 1000}}


def normal(sequence: int, p_value: float, version: int = 3) -> ScoreSeen:
    score = a_scored_frame(sequence, max(p_value, 0.0101)).model_copy(update={"model_version": version})
    return ScoreSeen(score, None)


def run(p_values: Iterable[float], rules: dict[str, Any] | None = None) -> RuleRun:
    going = RuleRun(a_line(product=rules or RULES))
    return going.observe(*(normal(number, p_value) for number, p_value in enumerate(p_values, 1)))


def even(seed: int, count: int) -> list[float]:
    """Return the p-values of normals that are what the calibration was made of."""
    numbers = random.Random(seed)
    return [0.01 + 0.99 * numbers.random() for _ in range(count)]


@pytest.mark.parametrize("way", ["higher", "lower"])
def test_scores_that_wander_open_an_incident_that_says_which_way(way: str) -> None:
    wandered = [p_value / 3 if way == "higher" else 1 - p_value / 3 for p_value in even(1, 200)]
    going = run([*even(2, 300), *wandered])
    assert going.told == [("score_drift", "opened")]
    (incident,) = going.standing
    assert way in incident.summary
    assert "reaches 1000 (tolerance 0.15, one frame of 1)" in going.changes[0].why
    assert incident.opened_at > DAY


def test_an_alert_of_drift_shows_both_histograms_and_a_p_value_that_falls_while_it_lasts() -> None:
    rare = {"drift": {**RULES["drift"], "false_alarm_frames": 100_000}}
    going = run([*even(2, 20), *(p_value / 3 for p_value in even(1, 200))], rare)
    (change,) = going.changes
    drift = change.alert(notify=True).drift
    assert drift is not None
    assert [one.calibration for one in drift.bins] == [0.1] * 10
    counts = [one.recent for one in drift.bins]
    assert sum(counts) == drift.looked_at < 200
    assert sum(counts[5:]) > 2 * sum(counts[:5])  # the last bins are those of the higher scores
    assert drift.p_value < 0.05
    assert f"p {drift.p_value:.3g} over all {drift.looked_at} frames looked at" in change.why
    going.observe(*(normal(1000 + n, p_value) for n, p_value in enumerate(even(4, 800))))
    end = going.changes[-1].alert(notify=True)
    assert (end.change, end.anomaly) == ("resolved", None)
    assert end.drift is not None
    assert end.drift.p_value < drift.p_value
    assert 200 <= sum(one.recent for one in end.drift.bins) <= 400
    assert max(one.recent for one in end.drift.bins) < 80


def test_normals_that_do_not_wander_are_left_alone_however_often_one_looks() -> None:
    alarms = sum(len(run(even(seed, 1000)).incidents) for seed in range(10))
    assert alarms <= 1  # of ten runs as long as the time between two false alarms


def test_a_lean_within_the_tolerance_is_no_drift() -> None:
    numbers = random.Random(3)
    leaning = [0.2 if numbers.random() < 0.6 else 0.8 for _ in range(3000)]
    assert run(leaning).told == []


def test_drift_is_over_when_the_scores_are_even_again() -> None:
    going = run([*(p_value / 3 for p_value in even(1, 200)), *even(2, 800)])
    assert going.told == [("score_drift", "opened"), ("score_drift", "resolved")]
    assert "within tolerance 0.15" in going.changes[-1].why


def test_while_drift_lasts_its_incident_shows_the_figures_of_now_and_tells_nobody() -> None:
    going = run(p_value / 3 for p_value in even(1, 700))
    (incident,) = going.standing
    (change,) = going.changes
    opened, now = change.incident.drift, incident.drift
    assert opened is not None
    assert now is not None
    assert now.looked_at > opened.looked_at + 399
    assert now.p_value < opened.p_value
    assert incident.sequence == 1
    assert incident.frames_seen == now.looked_at  # by which the API's readers notice that it has changed


def test_drift_is_over_when_another_calibration_is_in_service() -> None:
    going = run(p_value / 3 for p_value in even(1, 200))
    assert going.observe(normal(500, 0.1, version=4)).standing == []
    assert "version 4" in going.changes[-1].why


def test_drift_that_a_person_has_closed_needs_its_evidence_again() -> None:
    going = run(p_value / 3 for p_value in even(1, 200))
    (incident,) = going.standing
    going.act(acts.resolve(incident, "ada", DAY))
    assert going.observe(*(normal(300 + n, 0.1) for n in range(8))).standing == []
    going.observe(*(normal(400 + n, 0.1) for n in range(100)))
    assert len(going.standing) == 1


def test_of_frames_that_show_one_part_only_one_is_looked_at() -> None:
    parts = [p_value for p_value in even(5, 400) for _ in range(10)]
    assert run(parts, {"drift": {**RULES["drift"], "every": 10}}).told == []


def test_anomalous_frames_say_nothing_of_drift() -> None:
    going = RuleRun(a_line(product={**RULES, "open_frames": {"anomalous": 100, "of": 100}}))
    going.observe(*(ScoreSeen(a_scored_frame(n, 0.005, 2.5), None) for n in range(1, 90)))
    assert going.told == []
