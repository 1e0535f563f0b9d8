"""Verdicts against the promised rate: what burns the budget, and what is a defect and burns nothing."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from alerts.incidents import acts
from alerts.incidents.change import Subject
from alerts.incidents.false_alarm_budget import SeenVerdict, observe_budget
from alerts.incidents.observation import ScoreSeen
from steadyline.alert_rules import FalseAlarmRules
from tests.support.incidents import DAY, RuleRun, a_line, a_scored_frame

# Windows of one and four minutes; the product promises one frame of a hundred.
SMALL: dict[str, Any] = {
    "fast": "60s", "slow": "240s", "burn_rate": 10, "close_burn_rate": 5, "least_frames": 40, "least_runs": 4,
}  # fmt: skip
BURNING, CALM, DEFECT = "gggga" * 12, "g" * 60, "a" * 60


def run(frames: str, rules: dict[str, Any] | None = None) -> RuleRun:
    """Observe a frame a second: a anomalous, g good; anomalies open no incidents unless ``rules`` say so."""
    product = {"open_frames": {"anomalous": 100, "of": 100}, "open_parts": None, "at_once": None}
    still = {"drift": {"tolerance": 0.49}}  # the good frames of a test all score alike
    line = a_line(product={**product, **still, "false_alarms": SMALL, **(rules or {})})
    return more(RuleRun(line), 1, frames)


def more(going: RuleRun, first: int, frames: str, **fields: object) -> RuleRun:
    """Observe more frames, numbered from ``first``, with some other ``fields``."""
    seen = [
        a_scored_frame(number, 0.01, 2.5) if letter == "a" else a_scored_frame(number)
        for number, letter in enumerate(frames, first)
    ]
    return going.observe(*(ScoreSeen(score.model_copy(update=fields), None) for score in seen))


def kinds(going: RuleRun) -> list[tuple[str, str]]:
    return [told for told in going.told if told[0] == "false_alarms"]


def test_verdicts_far_above_the_promised_rate_open_one_incident_that_says_how_far() -> None:
    going = run(BURNING * 3)
    assert going.told == [("false_alarms", "opened")]
    (incident,) = going.standing
    budget = going.changes[0].alert(notify=True).budget
    assert budget is not None
    assert (budget.promised, budget.window_seconds) == (0.01, 60)
    assert budget.burn_rate == pytest.approx(20, rel=0.1)
    assert budget.observed == pytest.approx(0.2, rel=0.1)
    assert "times what is promised" in going.changes[0].why
    assert "times the promised 1.00%" in incident.summary
    assert incident.severity == "warning"


def test_it_is_over_once_the_fast_window_is_calm_and_not_before() -> None:
    doubtful = "gggggggggggggga" * 8  # 6.7 times the promised rate: neither opens nor closes
    going = run(BURNING * 3 + doubtful)
    assert len(going.standing) == 1
    more(going, 301, CALM)
    assert going.told == [("false_alarms", "opened"), ("false_alarms", "resolved")]
    assert "(close_burn_rate)" in going.changes[-1].why
    end = going.changes[-1].alert(notify=True).budget
    assert end is not None
    assert end.burn_rate < 5


def test_the_doubtful_rate_opens_nothing() -> None:
    assert run("gggggggggggggga" * 30).told == []


def test_one_long_run_of_a_defect_is_no_false_alarm() -> None:
    assert run(CALM + DEFECT + CALM + DEFECT).told == []


def test_a_defect_that_flickers_within_an_incident_of_its_own_is_one_run() -> None:
    opens = {"open_frames": {"anomalous": 2, "of": 10}, "close_frames": 8}
    going = run(CALM + BURNING * 3, opens)
    assert kinds(going) == []
    assert [kind for kind, _ in going.told] == ["anomaly"]


def test_many_frames_of_one_part_are_one_run_and_those_of_many_parts_are_many() -> None:
    for is_one, expected in ((True, []), (False, [("false_alarms", "opened")])):
        going = run(CALM)
        for number in range(36):
            part = {"part": "SN-1" if is_one else f"SN-{number}"}
            more(going, 61 + 5 * number, "gggg")
            more(going, 65 + 5 * number, "a", **part)
        assert kinds(going) == expected


def test_a_bad_batch_at_the_start_says_nothing_before_a_fast_window_is_over() -> None:
    assert run("gga" * 15).told == []


def test_a_burst_that_does_not_matter_in_the_slow_window_opens_nothing() -> None:
    assert run(CALM * 3 + "ggggga" * 6 + "g" * 20).told == []


def test_what_a_person_has_closed_burns_anew() -> None:
    going = run(BURNING * 3)
    (incident,) = going.standing
    going.act(acts.resolve(incident, "ada", DAY))
    assert more(going, 181, BURNING[:50]).standing == []
    assert len(more(going, 231, BURNING).standing) == 1


def test_another_threshold_promises_anew() -> None:
    going = run(BURNING * 3)
    more(going, 181, BURNING[:50], threshold_version=2)
    assert going.told == [("false_alarms", "opened"), ("false_alarms", "resolved")]
    assert "threshold 2 promises anew" in going.changes[-1].why


def test_a_line_file_that_no_longer_asks_for_it_ends_it() -> None:
    (incident,) = run(BURNING * 3).standing
    score = a_scored_frame(500)
    seen = SeenVerdict(score, Subject("line-1", "cell", "c1"), None, 0.01, False)
    memory, changes = observe_budget(None, [incident], seen)
    assert memory is None
    assert [change.change for change in changes] == ["resolved"]
    assert run(BURNING * 3, {"false_alarms": None}).told == []


def test_frames_that_come_late_count_where_they_belong_and_a_clock_that_was_ahead_is_forgotten() -> None:
    going = run(CALM)
    more(going, 100_000, "a")
    more(going, 100_001, "g" * 39, captured_at=DAY)  # of a spool, or the clock is right now
    assert going.state is not None
    assert going.state.scores is not None
    budget = going.state.scores.budget
    assert budget is not None
    assert (budget.outdated, len(budget.buckets)) == (39, 1)
    more(going, 100_040, "g", captured_at=DAY)
    budget = going.state.scores.budget
    assert budget is not None
    assert (budget.outdated, [one.frames for one in budget.buckets]) == (0, [1])


def test_the_defaults_say_nothing_of_a_minute_of_one_defective_part_at_five_frames_a_second() -> None:
    rules = FalseAlarmRules()
    subject, memory = Subject("line-1", "cell", "c1"), None
    for number in range(1, 4 * 3600 // 10):  # one frame of fifty, to be done soon
        at = DAY.timestamp() + number * 10
        score = a_scored_frame(number, 0.01, 2.5) if 900 <= number < 906 else a_scored_frame(number)
        moment = DAY.fromtimestamp(at, DAY.tzinfo)
        seen = SeenVerdict(score.model_copy(update={"captured_at": moment}), subject, rules, 0.01, False)
        memory, changes = observe_budget(memory, [], seen)
        assert changes == []
    assert memory is not None
    assert len(memory.buckets) <= 37


@pytest.mark.parametrize(
    ("rules", "problem"),
    [
        ({"slow": "30m"}, "slow is from 1 to 24 times"),
        ({"slow": "25h"}, "slow is from 1 to 24 times"),
        ({"close_burn_rate": 7}, "close_burn_rate is above burn_rate"),
        ({"burn_rate": 1}, "greater than 1"),
    ],
)
def test_windows_and_rates_that_do_not_fit_together_are_refused(rules: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        FalseAlarmRules.model_validate(rules)


@given(st.lists(st.tuples(st.sampled_from("ga"), st.integers(-300, 300)), max_size=60))
def test_what_is_remembered_is_bounded_and_the_same_however_times_jump(seen: list[tuple[str, int]]) -> None:
    goings = [run(""), run("")]
    for going in goings:
        at = 0
        for number, (letter, jump) in enumerate(seen, 1):
            at += jump
            moment = DAY.fromtimestamp(DAY.timestamp() + at, DAY.tzinfo)
            more(going, number, letter, captured_at=moment)
            assert going.state is not None
            assert going.state.scores is not None
            budget = going.state.scores.budget
            assert budget is not None
            numbers = [one.number for one in budget.buckets]
            assert numbers == sorted(set(numbers))
            assert numbers[-1] - numbers[0] < 24
    assert goings[0].changes == goings[1].changes
    assert goings[0].state == goings[1].state
