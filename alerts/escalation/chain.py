"""An escalation chain, and what a change of an incident means to it: pure."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field

from alerts.subscriptions.filter import SubscriptionFilter
from alerts.subscriptions.spoken_duration import SpokenDuration
from steadyline.contracts.alert import Alert
from steadyline.contracts.message import AwareDatetime, Part

MOST_STEPS = 16
SHORTEST, LONGEST = timedelta(seconds=1), timedelta(days=7)

EscalationEffect = Literal["starts", "ends"]


def _within_bounds(after: timedelta) -> timedelta:
    if not SHORTEST <= after <= LONGEST:
        raise ValueError("a step comes after 1s to 7d")
    return after


class EscalationStep(Part):
    """One step: who is told when nobody has taken the incident so long after it began to matter."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    after: Annotated[SpokenDuration, AfterValidator(_within_bounds)] = Field(
        description="Time from the begin of the escalation to this step, from 1s to 7d."
    )
    subscription: str = Field(
        pattern="^[0-9a-f]{32}$", description="Subscription that is told, whatever its filter says."
    )


def _ascending(steps: Sequence[EscalationStep]) -> Sequence[EscalationStep]:
    if any(later.after <= earlier.after for earlier, later in pairwise(steps)):
        raise ValueError("each step comes later than the one before it")
    return steps


EscalationSteps = Annotated[
    tuple[EscalationStep, ...], Field(min_length=1, max_length=MOST_STEPS), AfterValidator(_ascending)
]


class EscalationChain(Part):
    """Who is told, one after another, until somebody takes the incident."""

    id: str
    name: str
    owner: str
    enabled: bool
    filter: SubscriptionFilter = Field(description="Which incidents, by the change with which they begin.")
    steps: EscalationSteps
    version: int = Field(description="Counts up with each edit.")
    created_at: AwareDatetime


def effect_of(alert: Alert) -> EscalationEffect | None:
    """Return what a change does to the escalations of its incident; None where they just go on.

    An incident that becomes more serious goes on where it is being escalated already. One whose
    acknowledgement lapses or whose snooze ends starts again, whoever it is assigned to: they had it, and it
    still stands.
    """
    if alert.state != "open" or (alert.change == "assigned" and alert.assigned_to is not None):
        return "ends"
    if not alert.notify:
        return None
    if alert.change in ("lapsed", "woken"):
        return "starts"
    return "starts" if alert.change in ("opened", "risen") and alert.assigned_to is None else None


def due_at(steps: Sequence[EscalationStep], started_at: datetime, step: int) -> datetime | None:
    """Return when a step, counted from 1, is due; None when the chain is at its end."""
    return started_at + steps[step - 1].after if step <= len(steps) else None
