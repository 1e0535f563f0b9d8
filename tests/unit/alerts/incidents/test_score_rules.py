"""Scores of one camera open, grow and close one incident at a time."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.incidents import acts
from alerts.incidents.incident import Incident
from alerts.incidents.observation import ScoreSeen
from alerts.incidents.rules import RulesOutcome
from tests.support.incidents import DAY, RuleRun, a_line, a_scored_frame, a_verdict

SMALL: dict[str, Any] = {"open_frames": {"anomalous": 2, "of": 3}, "at_once": 4, "close_frames": 3}
letters = st.text("gdawx", max_size=40)


def run(frames: str, rules: dict[str, Any] | None = None) -> RuleRun:
    """Observe frames by their letters, numbered from 1."""
    return more(RuleRun(a_line(product={**SMALL, **(rules or {})})), 1, frames)


def more(going: RuleRun, first: int, frames: str) -> RuleRun:
    """Observe frames by their letters, numbered from ``first``."""
    return going.observe(*(a_verdict(number, letter) for number, letter in enumerate(frames, first)))


def the_only(going: RuleRun) -> Incident:
    (incident,) = going.incidents.values()
    return incident


def test_one_anomalous_frame_among_good_ones_opens_nothing() -> None:
    assert run("gagggaggg").told == []


def test_enough_anomalous_frames_among_the_last_open_an_incident_that_says_why() -> None:
    going = run("gaga")
    incident = the_only(going)
    assert going.told == [("anomaly", "opened")]
    assert "2 of the last 3 frames are anomalous (open_frames: 2)" in going.changes[0].why
    assert (incident.opened_at, incident.severity) == (DAY + timedelta(seconds=4), "warning")
    assert incident.anomaly is not None
    assert (incident.anomaly.first_frame, incident.anomaly.frames) == ("c1/7/2", 2)
    assert incident.traceparent is not None


def test_anomalous_frames_that_are_too_far_apart_open_nothing() -> None:
    assert run("aggaggagg").told == []


def test_one_frame_far_beyond_the_threshold_opens_an_incident_at_once() -> None:
    going = run("gx")
    assert going.told == [("anomaly", "opened")]
    assert "beyond 4 times the threshold" in going.changes[0].why
    assert run("gx", {"at_once": None}).told == []


def test_later_frames_merge_and_the_worst_one_gives_the_figures() -> None:
    anomaly = the_only(run("aaxaa")).anomaly
    assert anomaly is not None
    assert (anomaly.first_frame, anomaly.last_frame, anomaly.frames) == ("c1/7/1", "c1/7/5", 5)
    assert (anomaly.worst_frame, anomaly.score, anomaly.picture_uri) == (
        "c1/7/3",
        9.0,
        "memory://s/3/picture.jpg",
    )


def test_a_rise_of_severity_is_told_once_and_a_fall_never() -> None:
    going = run("aawaw")
    assert going.told == [("anomaly", "opened"), ("anomaly", "risen")]
    assert the_only(going).severity == "critical"
    assert "critical: p 0.001 is not above 0.002" in going.changes[1].why


def test_good_frames_in_a_row_close_it() -> None:
    going = run("aaggaggg")
    assert going.told == [("anomaly", "opened"), ("anomaly", "resolved")]
    assert the_only(going).resolved_at == DAY + timedelta(seconds=8)
    assert "3 good frames in a row, up to c1/7/8" in going.changes[-1].why


def test_a_doubtful_frame_neither_closes_nor_keeps_it_open() -> None:
    assert not the_only(run("aaggddd")).is_over
    assert the_only(run("aaggdddg")).is_over


def test_what_was_closed_is_not_opened_by_the_frames_of_before() -> None:
    assert len(run("aagggag").incidents) == 1
    assert len(run("aagggaga").incidents) == 2


def test_an_acknowledged_incident_still_rises_and_stays_taken() -> None:
    going = run("aa")
    going.act(acts.acknowledge(the_only(going), "ada", DAY))
    more(going, 3, "aw")
    assert [change for _, change in going.told] == ["opened", "acknowledged", "risen"]
    assert (the_only(going).state, the_only(going).sequence) == ("acknowledged", 3)


def test_what_a_person_has_closed_needs_as_many_frames_again() -> None:
    going = run("aaa")
    going.act(acts.resolve(the_only(going), "ada", DAY))
    assert len(more(going, 4, "a").incidents) == 1
    assert len(more(going, 5, "a").incidents) == 2


def test_a_frame_that_comes_again_or_late_changes_nothing() -> None:
    going = run("gga")
    for _ in range(3):
        more(going, 3, "a")
    going.observe(a_verdict(2, "a"), a_verdict(1, "x"))
    assert going.told == []
    assert going.ignored[3:] == ["repeated", "repeated", "repeated", "late", "late"]


def test_the_spool_of_a_former_run_is_counted_between_the_frames_of_a_new_one() -> None:
    going = RuleRun(a_line(product=SMALL))
    going.observe(a_verdict(50, "g", epoch=7), a_verdict(1, "a", epoch=8), a_verdict(51, "a", epoch=7))
    assert going.told == [("anomaly", "opened")]
    for epoch in range(9, 14):
        going.observe(a_verdict(1, "g", epoch=epoch))
    assert going.observe(a_verdict(52, "g", epoch=7)).ignored[-1] == "late"


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"camera": "c9", "frame": "c9/7/1"}, "unknown_camera"),
        ({"product": "door"}, "unknown_product"),
        ({"frame": "c2/7/1"}, "foreign_frame"),
        ({"frame": "c1"}, "foreign_frame"),
        ({"score": float("inf")}, "not_finite"),
        ({"threshold": float("nan")}, "not_finite"),
    ],
)
def test_a_score_that_cannot_be_one_of_this_camera_is_passed_over(change: dict[str, Any], word: str) -> None:
    score = a_scored_frame(1, 0.001, 9).model_copy(update=change)
    going = RuleRun(a_line(product=SMALL)).observe(ScoreSeen(score, None))
    assert (going.ignored, going.told) == ([word], [])


@pytest.mark.parametrize(("threshold", "score", "opens"), [(-2, -1, False), (-2, 5, True), (0, 5, False)])
def test_far_beyond_is_measured_in_thresholds_whatever_their_sign(
    threshold: float, score: float, opens: bool
) -> None:
    odd = a_scored_frame(1, 0.01, 9).model_copy(update={"threshold": threshold, "score": score})
    assert bool(RuleRun(a_line(product=SMALL)).observe(ScoreSeen(odd, None)).told) == opens


def test_a_quiet_kind_is_recorded_and_not_notified() -> None:
    going = more(RuleRun(a_line({"quiet": ["anomaly"]}, SMALL)), 1, "aaggg")
    assert [change.notify for change in going.changes] == [False, False]
    assert all(change.notify for change in run("aaggg").changes)


@given(letters, st.lists(st.integers(0, 39)))
def test_a_replay_gives_the_same_incidents_however_it_is_cut_and_repeated(
    frames: str, again: list[int]
) -> None:
    once = run(frames)
    seen = [a_verdict(number, letter) for number, letter in enumerate(frames, 1)]
    going = RuleRun(a_line(product=SMALL))
    for number, one in enumerate(seen):
        going.observe(one)
        if again.count(number):  # the process ended before its offset was written: back to an earlier one
            going.observe(*seen[max(0, number - again.count(number) * 5) : number + 1])
    assert going.incidents == once.incidents
    assert going.changes == once.changes


@given(letters)
def test_a_camera_has_one_open_anomaly_at_most_and_good_frames_end_it(frames: str) -> None:
    going = RuleRun(a_line(product=SMALL))
    for number, letter in enumerate(frames, 1):
        more(going, number, letter)
        assert len(going.standing) <= 1
    more(going, len(frames) + 1, "ggg")
    assert going.standing == []
    ends = [change.incident.id for change in going.changes if change.change == "resolved"]
    assert sorted(ends) == sorted(going.incidents)


@given(letters)
def test_the_incidents_hold_every_anomalous_frame_from_the_first_to_the_last_of_theirs(frames: str) -> None:
    bad = [number for number, letter in enumerate(frames, 1) if letter in "awx"]
    for incident in run(frames).incidents.values():
        assert incident.anomaly is not None
        first, last, worst = (
            int(frame.rsplit("/", 1)[1])
            for frame in (
                incident.anomaly.first_frame,
                incident.anomaly.last_frame,
                incident.anomaly.worst_frame,
            )
        )
        own = [number for number in bad if first <= number <= last]
        assert incident.anomaly.frames == len(own)
        assert worst in own
        assert not any(frames[number - 1] == "w" for number in own) or frames[worst - 1] == "w"


def test_the_rules_keep_nothing_of_their_own() -> None:
    rules = RuleRun(a_line(product=SMALL)).rules
    outcomes: list[RulesOutcome] = [rules.observe(None, [], a_verdict(1, "x")) for _ in range(2)]
    assert outcomes[0] == outcomes[1]
