"""What people do to an incident, and what is refused."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from alerts.incidents import acts
from alerts.incidents.incident import Incident, IncidentChange
from tests.support.incidents import DAY, an_incident

LATER = DAY + timedelta(hours=1)
EVERY_ACT: list[Callable[[Incident], IncidentChange]] = [
    lambda incident: acts.acknowledge(incident, "ada", LATER, "seen"),
    lambda incident: acts.resolve(incident, "ada", LATER, "seen"),
    lambda incident: acts.snooze(incident, "ada", LATER, LATER + timedelta(hours=1), "seen"),
    lambda incident: acts.assign(incident, "ada", LATER, "bob", "seen"),
    lambda incident: acts.comment(incident, "ada", LATER, "seen"),
]


@pytest.mark.parametrize("act", EVERY_ACT)
def test_an_act_counts_the_sequence_up_and_says_who_when_and_what(
    act: Callable[[Incident], IncidentChange],
) -> None:
    change = act(an_incident())
    alert = change.alert(notify=True)
    assert (alert.sequence, alert.who, alert.at, alert.comment) == (2, "ada", LATER, "seen")
    assert alert.why.startswith("ada has ")


def test_an_acknowledged_incident_remembers_since_when() -> None:
    after = acts.acknowledge(an_incident(), "ada", LATER).incident
    assert (after.state, after.acknowledged_at) == ("acknowledged", LATER)
    with pytest.raises(acts.AlreadyAcknowledged):
        acts.acknowledge(after, "bob", LATER)


def test_a_snooze_has_an_end_in_the_near_future() -> None:
    until = LATER + timedelta(hours=2)
    after = acts.snooze(an_incident(), "ada", LATER, until).incident
    assert (after.state, after.snoozed_until) == ("snoozed", until)
    for wrong in (LATER, DAY, LATER + timedelta(days=32)):
        with pytest.raises(acts.SnoozeOutOfBounds):
            acts.snooze(an_incident(), "ada", LATER, wrong)


def test_whoever_takes_a_snoozed_incident_ends_the_snooze() -> None:
    snoozed = acts.snooze(an_incident(), "ada", LATER, LATER + timedelta(hours=2)).incident
    after = acts.acknowledge(snoozed, "bob", LATER).incident
    assert (after.state, after.snoozed_until) == ("acknowledged", None)


def test_an_incident_that_is_over_takes_nothing_but_a_comment() -> None:
    over = acts.resolve(an_incident(), "ada", LATER).incident
    assert (over.is_over, over.resolved_at) == (True, LATER)
    for act in EVERY_ACT[:-1]:
        with pytest.raises(acts.AlreadyResolved):
            act(over)
    assert EVERY_ACT[-1](over).incident.state == "resolved"


def test_an_incident_is_given_to_one_person_and_taken_back() -> None:
    given = acts.assign(an_incident(), "ada", LATER, "bob").incident
    assert given.assigned_to == "bob"
    with pytest.raises(acts.AlreadyAssigned):
        acts.assign(given, "ada", LATER, "bob")
    assert acts.assign(given, "ada", LATER, None).incident.assigned_to is None


@pytest.mark.parametrize("text", ["", "  ", "x" * 2_001])
def test_a_text_that_no_alert_can_carry_is_refused(text: str) -> None:
    with pytest.raises(acts.TextOutOfBounds):
        acts.comment(an_incident(), "ada", LATER, text)
    with pytest.raises(acts.TextOutOfBounds):
        acts.resolve(an_incident(), text, LATER)


def test_every_refusal_has_a_word_of_its_own() -> None:
    kinds: list[type[acts.ActRefused]] = [acts.ActRefused, *acts.ActRefused.__subclasses__()]
    assert len({kind.reason for kind in kinds}) == len(kinds)
