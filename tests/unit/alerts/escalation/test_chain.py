"""What a change of an incident means to its escalation, and when a step is due."""

from datetime import timedelta
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from alerts.escalation.chain import MOST_STEPS, EscalationStep, EscalationSteps, due_at, effect_of
from steadyline.clock import ManualClock
from steadyline.contracts.alert import Alert, AlertChange, IncidentState
from tests.support.alert_outbox import an_alert

ID = "a" * 32
BEGIN = ManualClock().now()
STEPS: TypeAdapter[tuple[EscalationStep, ...]] = TypeAdapter(EscalationSteps)

any_alert = st.builds(
    an_alert,
    change=st.sampled_from(get_args(AlertChange)),
    state=st.sampled_from(get_args(IncidentState)),
    notify=st.booleans(),
    assigned_to=st.sampled_from([None, "ann"]),
)


@given(any_alert)
def test_only_what_is_open_and_told_starts_and_whoever_takes_it_ends_it(alert: Alert) -> None:
    effect = effect_of(alert)
    if alert.state != "open":
        assert effect == "ends"
    elif effect == "starts":
        assert alert.notify
        assert alert.change in ("opened", "risen", "lapsed", "woken")
        assert alert.assigned_to is None or alert.change in ("lapsed", "woken")
    elif effect == "ends":
        assert (alert.change, alert.assigned_to) == ("assigned", "ann")


@pytest.mark.parametrize(
    ("fields", "effect"),
    [
        ({"change": "opened"}, "starts"),
        ({"change": "opened", "notify": False}, None),  # held back
        ({"change": "risen"}, "starts"),
        ({"change": "risen", "assigned_to": "ann"}, None),
        ({"change": "lapsed", "assigned_to": "ann"}, "starts"),
        ({"change": "woken"}, "starts"),
        ({"change": "commented"}, None),
        ({"change": "acknowledged", "state": "acknowledged"}, "ends"),
        ({"change": "snoozed", "state": "snoozed"}, "ends"),
        ({"change": "assigned", "assigned_to": "ann"}, "ends"),
        ({"change": "resolved", "state": "resolved", "notify": False}, "ends"),
    ],
)
def test_each_change_has_its_effect(fields: dict[str, Any], effect: str | None) -> None:
    assert effect_of(an_alert(**fields)) == effect


@given(st.lists(st.integers(1, 7 * 86_400), min_size=1, max_size=MOST_STEPS, unique=True))
def test_steps_come_one_after_another_and_end(seconds: list[int]) -> None:
    steps = STEPS.validate_python([{"after": one, "subscription": ID} for one in sorted(seconds)])
    due = [due_at(steps, BEGIN, number) for number in range(1, len(steps) + 1)]
    assert due == [BEGIN + timedelta(seconds=one) for one in sorted(seconds)]
    assert due_at(steps, BEGIN, len(steps) + 1) is None
    assert STEPS.validate_json(STEPS.dump_json(steps)) == steps


@pytest.mark.parametrize(
    "afters", [[], ["5m", "5m"], ["1h", "30m"], ["0s"], ["8d"], ["soon"], ["1m"] * (MOST_STEPS + 1)]
)
def test_steps_that_do_not_ascend_are_refused(afters: list[str]) -> None:
    with pytest.raises(ValidationError):
        STEPS.validate_python([{"after": after, "subscription": ID} for after in afters])
