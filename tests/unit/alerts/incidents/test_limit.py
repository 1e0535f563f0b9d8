"""The notification limit holds back what repeats, and never a rise, an end or a person's act."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts import metrics
from alerts.incidents import acts
from alerts.incidents.incident import IncidentChange
from alerts.incidents.limit import HeldBy, LimitState, admit, told_later
from steadyline.contracts.alert import Severity
from steadyline.line import Line
from tests.support.incidents import DAY, a_change, a_line, an_incident


def told(line: Line, changes: Sequence[IncidentChange]) -> list[tuple[bool, int]]:
    """Return for each change whether it notifies, and what was held back before; the state goes as JSON."""
    state, found = LimitState(), []
    for change in changes:
        state, held_by, suppressed = admit(line, state, change)
        state = LimitState.read(state.model_dump_json().encode())
        found.append((held_by is None, suppressed))
    return found


def opened(count: int, camera: str = "c1", apart: float = 10) -> list[IncidentChange]:
    """Return the openings of so many incidents, one after another."""
    incidents = [an_incident(f"{camera}/7/{number}", camera=camera) for number in range(1, count + 1)]
    return [a_change(one, seconds=apart * number) for number, one in enumerate(incidents)]


def test_a_camera_that_has_just_been_notified_waits_for_its_cooldown() -> None:
    line = a_line(product={"cooldown": "25s"})
    assert told(line, opened(5)) == [(True, 0), (False, 0), (False, 0), (True, 2), (False, 0)]


def test_a_camera_in_its_cooldown_hides_no_other_camera() -> None:
    changes = [opened(1)[0], opened(2)[1], a_change(an_incident("c2/7/1", camera="c2"), seconds=10)]
    assert told(a_line(), changes) == [(True, 0), (False, 0), (True, 1)]


def test_a_cooldown_lets_a_more_serious_incident_through() -> None:
    severities: list[Severity] = ["warning", "critical", "critical", "info"]
    changes = [
        a_change(an_incident(f"c1/7/{n}", severity), seconds=n) for n, severity in enumerate(severities)
    ]
    assert [notify for notify, _ in told(a_line(), changes)] == [True, True, False, False]


def test_the_cooldown_of_the_line_holds_for_all_cameras_together() -> None:
    line = a_line({"notifications": {"cooldown": "1m"}})
    changes = [opened(1)[0], a_change(an_incident("c2/7/1", camera="c2"), seconds=30)]
    assert told(line, changes) == [(True, 0), (False, 0)]


def test_the_cap_counts_what_it_holds_back() -> None:
    line = a_line({"notifications": {"most": 3, "within": "1m"}}, {"cooldown": "0s"})
    changes = opened(7, apart=10) + opened(1, "c2")[:1]
    changes[-1] = a_change(changes[-1].incident, seconds=75)
    assert told(line, changes) == [(True, 0)] * 3 + [(False, 0)] * 3 + [(True, 3), (True, 0)]


def test_a_rise_begins_the_cooldown_anew_at_its_severity() -> None:
    critical = an_incident("c1/7/1", "critical")
    changes = [
        a_change(an_incident("c1/7/1")),
        a_change(critical, "risen", 1),
        a_change(critical, "resolved", 2),
        a_change(an_incident("c1/7/9", "critical"), seconds=3),
    ]
    assert [notify for notify, _ in told(a_line(), changes)] == [True, True, True, False]


def test_the_end_of_an_incident_that_nobody_was_notified_of_is_held_back() -> None:
    first, second = opened(2)
    changes = [
        first,
        second,
        a_change(second.incident, "resolved", 20),
        a_change(first.incident, "resolved", 21),
    ]
    assert told(a_line(), changes) == [(True, 0), (False, 0), (False, 0), (True, 2)]


def test_what_a_person_does_is_always_told() -> None:
    first, second = opened(2)
    act = acts.acknowledge(second.incident, "ada", DAY)
    assert told(a_line(), [first, second, act]) == [(True, 0), (False, 0), (True, 1)]


def test_what_its_rule_wants_quiet_counts_nowhere() -> None:
    quiet = IncidentChange(an_incident(), "opened", "because", notify=False)
    silent = IncidentChange(an_incident(), None, "because")
    assert told(a_line(), [quiet, silent, *opened(1)]) == [(False, 0), (False, 0), (True, 0)]


def test_a_clock_that_is_years_ahead_silences_no_other_camera() -> None:
    line = a_line({"notifications": {"cooldown": "1m", "most": 1}})
    ahead = a_change(an_incident("c2/7/1", camera="c2"), seconds=timedelta(days=9999).total_seconds())
    assert told(line, [ahead, *opened(1)]) == [(True, 0), (True, 0)]


def test_each_change_that_is_held_back_has_the_word_of_what_holds_it() -> None:
    line = a_line({"quiet": ["camera_slow"], "notifications": {"most": 1}})
    slow = an_incident("c1/7/4").with_changes(kind="camera_slow")
    first, second = opened(2)
    other = a_change(an_incident("c2/7/1", camera="c2"), seconds=20)
    changes: list[tuple[IncidentChange, HeldBy | None, HeldBy | None]] = [
        (first, None, None),
        (second, None, "cooldown"),
        (other, None, "cap"),
        (a_change(other.incident, "resolved", 21), None, "unknown_before"),
        (replace(a_change(slow), notify=False), None, "quiet"),
        (IncidentChange(an_incident("c1/7/5"), "opened", "because", notify=False), None, "rule"),
        (a_change(an_incident("c1/7/6", "critical")), "window", "window"),
        (a_change(an_incident("c1/7/6", "critical"), "risen"), "window", "window"),
        (a_change(an_incident("c1/7/7", "critical")), "old", "old"),
        (acts.acknowledge(second.incident, "ada", DAY), "window", None),
    ]
    state, found = LimitState(), []
    for change, held_already, _ in changes:
        state, held_by, _ = admit(line, state, change, held_already)
        found.append(held_by)
    assert found == [expected for _, _, expected in changes]
    assert {word for word in found if word is not None} == set(get_args(HeldBy))


def test_every_word_of_what_holds_a_change_back_is_counted() -> None:
    assert metrics.HELD_BACK.labels["reason"] == frozenset(get_args(HeldBy))
    assert metrics.HELD_BACK.labels["reason"] == frozenset[str](get_args(HeldBy))


def test_what_a_window_holds_counts_nowhere_and_the_end_of_what_was_told_later_is_told() -> None:
    line, (first, second) = a_line(), opened(2)
    state, held_by, suppressed = admit(line, LimitState(), first, "window")
    assert (state, held_by, suppressed) == (LimitState(), "window", 0)
    state = told_later(state, [first.incident.id, first.incident.id])
    assert admit(line, state, second)[1:] == (None, 0)
    after, held_by, _ = admit(line, state, a_change(first.incident, "resolved", 30))
    assert (held_by, after.known) == (None, ())


@st.composite
def lives(draw: st.DrawFn) -> list[IncidentChange]:
    """Draw incidents of both cameras that are opened, rise and end, in any order of any of them."""
    waiting: dict[str, list[IncidentChange]] = {}
    for number in range(draw(st.integers(1, 8))):
        camera = draw(st.sampled_from(["c1", "c2"]))
        incident = an_incident(f"{camera}/7/{number + 1}", "info", camera)
        changes = [a_change(incident)]
        for severity in draw(st.sampled_from([[], ["warning"], ["warning", "critical"]])):
            incident = incident.with_changes(severity=severity)
            changes.append(a_change(incident, "risen"))
        if draw(st.booleans()):
            changes.append(a_change(incident, "resolved"))
        waiting[incident.id] = changes
    found: list[IncidentChange] = []
    second = 0.0
    while any(waiting.values()):
        name = draw(st.sampled_from(sorted(name for name, left in waiting.items() if left)))
        second += draw(st.sampled_from([0.0, 1.0, 30.0, 700.0]))
        change = waiting[name].pop(0)
        found.append(a_change(change.incident, change.change or "opened", second))
    return found


RULES: list[dict[str, Any]] = [{}, {"most": 1}, {"cooldown": "1h"}, {"most": 2, "within": "1s"}]


@pytest.mark.parametrize("rules", RULES)
@given(changes=lives())
def test_nothing_important_is_ever_swallowed_and_the_counts_add_up(
    rules: dict[str, Any], changes: list[IncidentChange]
) -> None:
    found = told(a_line({"notifications": rules}), changes)
    known: set[str] = set()
    waiting = 0
    for change, (notify, suppressed) in zip(changes, found, strict=True):
        if change.change == "risen" or (change.change == "resolved" and change.incident.id in known):
            assert notify
        assert suppressed == (waiting if notify else 0)
        waiting = 0 if notify else waiting + 1
        if notify:
            known.add(change.incident.id)


def test_the_end_of_what_somebody_was_told_of_is_told_in_a_window_too() -> None:
    line, (first, second) = a_line(), opened(2)
    state, _, _ = admit(line, LimitState(), first)
    end = a_change(first.incident.with_changes(state="resolved"), "resolved", 60)
    assert admit(line, state, end, "window")[1] is None
    assert admit(line, state, end, "old")[1] is None
    other = a_change(second.incident.with_changes(state="resolved"), "resolved", 60)
    assert admit(line, state, other, "window")[1] == "window"
