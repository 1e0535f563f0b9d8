"""Why somebody was told of an incident, and why somebody else was not."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from alerts.api.auth import Viewer
from alerts.api.dependencies import Api
from alerts.api.page import Id
from alerts.api.problem import Refusal
from alerts.deliveries.telling import NotTold, Telling, ToldChange, why_not_told
from alerts.incidents.limit import HeldBy
from alerts.subscriptions.subscription import Subscription
from steadyline.contracts.alert import AlertChange
from steadyline.contracts.message import AwareDatetime

router = APIRouter(prefix="/incidents/{incident}", tags=["incidents"])

MOST_CHANGES = 100
MOST_SUBSCRIPTIONS = 100

Outcome = Literal["delivered", "waiting", "dead", "none"]

_OUTCOMES: Mapping[str, Outcome] = {"delivered": "delivered", "pending": "waiting", "dead": "dead"}
HELD_WORDS: Mapping[HeldBy, str] = {
    "quiet": "the line file has this kind of incident quiet",
    "rule": "its rule does not want it notified",
    "old": "it was older than what is still notified (ALERTS_NOTIFY_WITHIN_SECONDS) when it was written",
    "window": "a maintenance window was in force",
    "cooldown": "somebody had just been notified of the like, or of the line (cooldown)",
    "cap": "too many incidents had been notified within a short time (most, within)",
    "unknown_before": "it ends an incident that nobody was notified of",
}
NOT_TOLD_WORDS: Mapping[NotTold, str] = {
    "made_later": "the subscription was made later",
    "disabled": "the subscription is disabled",
    "product": "the filter does not name its product",
    "camera": "no pattern of the filter fits its camera",
    "kind": "the filter does not name its kind",
    "severity": "it is less severe than the filter wants",
    "change": "the filter does not name this change",
    "hours": "it was outside of the hours of the filter",
    "digest": "it is in a digest, or waits for the next one",
    "edited": "the filter takes it as it is now: it was edited since, or enabled",
    "removed": "the delivery is no longer kept",
}


class ToldSubscription(BaseModel):
    """What became of one change for one subscription."""

    subscription: str = Field(description="Id of the subscription.")
    name: str = Field(description="Its name.")
    outcome: Outcome = Field(description="Whether it was told; none: there is no delivery.")
    delivery: str | None = Field(description="Id of the delivery, where there is one.")
    reason: str | None = Field(
        description="A fixed word: why the last attempt failed, or why there is no delivery."
    )
    in_words: str = Field(description="The same for people.")


class ExplainedChange(BaseModel):
    """One change, why there was one, and who was told."""

    sequence: int
    change: AlertChange
    at: AwareDatetime
    who: str | None
    why: str = Field(description="The rule and the values that made the change.")
    notify: bool = Field(description="Whether subscribers were notified.")
    held_by: HeldBy | None = Field(description="Why not: a fixed word; null where they were.")
    in_words: str = Field(description="The same for people.")
    subscriptions: list[ToldSubscription]


class Explanation(BaseModel):
    """The last changes of an incident, oldest first."""

    incident: str
    changes: list[ExplainedChange] = Field(description=f"The last {MOST_CHANGES} at most.")


Wanted = Annotated[
    Id | None,
    Query(description=f"Id of one subscription; by default the first {MOST_SUBSCRIPTIONS} by id."),
]


@router.get("/why")
def explain_incident(incident: Id, _: Viewer, api: Api, subscription: Wanted = None) -> Explanation:
    """Explain why each subscription was told of each change, or why it was not."""
    with api.database.read() as session:
        if api.stores.incidents.find(session, incident) is None:
            raise Refusal("no_such_incident")
        if subscription is None:
            wanted = api.stores.subscriptions.page(session, None, MOST_SUBSCRIPTIONS)
        else:
            found = api.stores.subscriptions.find(session, subscription)
            if found is None:
                raise Refusal("no_such_subscription")
            wanted = [found]
        changes = api.stores.tellings.changes(session, incident, MOST_CHANGES)
        tellings = api.stores.tellings.deliveries(session, incident, [one.id for one in wanted])
    return Explanation(
        incident=incident, changes=[_explained(change, wanted, tellings) for change in changes]
    )


def _explained(
    change: ToldChange, wanted: Sequence[Subscription], tellings: Mapping[tuple[str, int], Telling]
) -> ExplainedChange:
    alert = change.alert
    return ExplainedChange(
        sequence=alert.sequence,
        change=alert.change,
        at=alert.at,
        who=alert.who,
        why=alert.why,
        notify=alert.notify,
        held_by=change.held_by,
        in_words=_in_words(change),
        subscriptions=[_told(change, one, tellings.get((one.id, change.number))) for one in wanted],
    )


def _in_words(change: ToldChange) -> str:
    if change.held_by is None:
        return "notified"
    later = "; the summary at the end of the window told of it" if change.told_after else ""
    return f"not notified: {HELD_WORDS[change.held_by]}{later}"


def _told(change: ToldChange, subscription: Subscription, telling: Telling | None) -> ToldSubscription:
    outcome: Outcome = "none"
    delivery: str | None = None
    reason: str | None
    if telling is not None:
        outcome, delivery, reason = _OUTCOMES[telling.state], telling.id, telling.reason
        words = f"{outcome}, the last attempt failed: {reason}" if reason else outcome
    elif change.held_by is not None:
        reason, words = change.held_by, HELD_WORDS[change.held_by]
    else:
        reason = why_not_told(subscription, change)
        words = NOT_TOLD_WORDS[reason]
    return ToldSubscription(
        subscription=subscription.id,
        name=subscription.name,
        outcome=outcome,
        delivery=delivery,
        reason=reason,
        in_words=words,
    )
