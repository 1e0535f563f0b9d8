"""The outbox as its deliverers see it: what is due is claimed for a while, and settled afterwards.

Several processes may do so at once. A claim is a lease: when its process dies, what it had claimed is due
again once the lease is over, and is delivered a second time if it had been delivered already.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import CursorResult, Integer, bindparam, exists, func, or_, select, update
from sqlalchemy.orm import Session, aliased

from alerts.database.tables import ChangeRow, DeliveryRow, DigestRow, SubscriptionRow
from alerts.deliveries.failure import DEADLINE_PASSED, DeliveryFailed
from alerts.deliveries.parcel import EscalationNote, Receipt
from alerts.subscriptions.store import read_subscription
from alerts.subscriptions.subscription import Subscription
from steadyline.backoff import Backoff
from steadyline.contracts.alert import Alert
from steadyline.contracts.alert_digest import AlertDigest

_MOST_TEXT = 1_000


@dataclass(frozen=True, slots=True)
class RetryRules:
    """How long a claim holds, and how long to wait after a failed attempt (full jitter)."""

    lease: timedelta = timedelta(seconds=60)  # longer than any attempt lasts
    first: timedelta = timedelta(seconds=2)
    longest: timedelta = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Claim:
    """One delivery that this process has claimed, with all that is needed to make it.

    Where it is a digest, ``alert`` is the newest in it.
    """

    id: str
    subscription: Subscription
    secret: str = field(repr=False)
    alert: Alert
    traceparent: str | None
    attempts: int  # this one included
    written_at: datetime
    digest: AlertDigest | None = None
    escalation: EscalationNote | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """What became of a claim."""

    claim: Claim
    outcome: Receipt | DeliveryFailed
    at: datetime
    seconds: float


class DeliveryClaims:
    """Claims and settles deliveries in the name of ``claimant``, which no other process has."""

    def __init__(self, claimant: str, rules: RetryRules | None = None) -> None:
        self._claimant, self._rules = claimant, rules or RetryRules()

    def due(self, session: Session, now: datetime) -> list[str]:
        """Return the ids of the enabled subscriptions that something may be due for."""
        return list(session.scalars(_DUE, {"now": now}))

    def claim(self, session: Session, subscription: str, room: int, now: datetime) -> list[Claim]:
        """Claim up to ``room`` deliveries of a subscription: digests first, then changes, the oldest first.

        Of one incident only the earliest change that is still to be delivered is among them, so that they may
        go out side by side.
        """
        about = {"subscription": subscription, "now": now}
        rows = list(session.scalars(_DIGESTS, {**about, "room": room})) if room > 0 else []
        if len(rows) < room:
            rows += session.scalars(_CHANGES, {**about, "room": room - len(rows)})
        owner = session.get(SubscriptionRow, subscription) if rows else None
        if owner is None:
            return []
        for row in rows:
            row.claimed_by, row.claimed_until = self._claimant, now + self._rules.lease
            row.attempts += 1
        known, contents = read_subscription(owner), _Contents(session, rows)
        return [contents.claim(row, known, owner.secret) for row in rows]

    def settle(self, session: Session, attempts: Sequence[Attempt]) -> list[Attempt]:
        """Write down what became of claims; return those that have brought a delivery to an end.

        Once taken by the endpoint it is delivered, whoever has claimed it by now. A failure counts only while
        the claim is still ours. All are written by two statements, however many they are.
        """
        ids = [attempt.claim.id for attempt in attempts]
        if not ids:
            return []
        owners = {id: owner for id, owner in session.execute(_PENDING, {"ids": ids})}
        settled = [attempt for attempt in attempts if self._may_settle(attempt, owners)]
        if settled:
            session.execute(update(DeliveryRow), [self._settled(attempt) for attempt in settled])
        return [attempt for attempt in settled if _is_at_end(attempt)]

    def expire(self, session: Session, now: datetime) -> int:
        """Give up what nobody has in hand and whose deadline has passed; return how many."""
        found = session.execute(
            update(DeliveryRow)
            .where(DeliveryRow.state == "pending", DeliveryRow.deadline <= now, _is_free(now))
            .values(state="dead", last_reason=DEADLINE_PASSED, claimed_by=None, claimed_until=None)
        )
        return _count(found)

    def release(self, session: Session) -> None:
        """Give back what is claimed and not settled: another process need not wait for the lease."""
        session.execute(
            update(DeliveryRow)
            .where(DeliveryRow.claimed_by == self._claimant, DeliveryRow.state == "pending")
            .values(claimed_by=None, claimed_until=None)
        )

    def _may_settle(self, attempt: Attempt, owners: Mapping[str, str | None]) -> bool:
        id = attempt.claim.id
        return id in owners and (isinstance(attempt.outcome, Receipt) or owners[id] == self._claimant)

    def _settled(self, attempt: Attempt) -> dict[str, Any]:
        """Return what the row of an attempt says from now on: the same columns for each kind of outcome."""
        outcome = attempt.outcome
        values: dict[str, Any] = {
            "id": attempt.claim.id,
            "claimed_by": None,
            "claimed_until": None,
            "last_milliseconds": round(attempt.seconds * 1000),
            "last_status": outcome.status,
            "answer_head": outcome.head[:_MOST_TEXT],
        }
        if isinstance(outcome, Receipt):
            told = {"state": "delivered", "delivered_at": attempt.at, "last_reason": None, "last_error": None}
            return values | told
        return values | {
            "state": "dead" if outcome.is_final else "pending",
            "last_reason": outcome.reason,
            "last_error": str(outcome)[:_MOST_TEXT],
            "next_at": attempt.at + self._delay(attempt.claim.attempts, outcome.retry_after),
        }

    def _delay(self, attempts: int, retry_after: timedelta | None) -> timedelta:
        backoff = Backoff(self._rules.first, self._rules.longest, failures=attempts - 1, least=0.0)
        return max(backoff.next(), retry_after or timedelta(0))


def _is_at_end(attempt: Attempt) -> bool:
    return isinstance(attempt.outcome, Receipt) or attempt.outcome.is_final


class _Contents:
    """What claimed rows tell of."""

    def __init__(self, session: Session, rows: Sequence[DeliveryRow]) -> None:
        changes = [row.change for row in rows if row.change is not None]
        found = session.execute(_CONTENTS, {"ids": changes}) if changes else ()
        self._changes = {id: (content, traceparent) for id, content, traceparent in found}
        ids = [row.digest for row in rows if row.digest is not None]
        digests = session.scalars(select(DigestRow).where(DigestRow.id.in_(ids))) if ids else ()
        self._digests = {one.id: one.content for one in digests}

    def claim(self, row: DeliveryRow, subscription: Subscription, secret: str) -> Claim:
        """Return the claim of one of the rows."""
        digest, traceparent, escalation = None, None, None
        if row.digest is not None:
            digest = AlertDigest.decode(self._digests[row.digest].encode())
            alert = digest.alerts[-1]
        else:
            assert row.change is not None
            content, traceparent = self._changes[row.change]
            alert = Alert.decode(content.encode())
        if row.chain is not None and row.step is not None:
            escalation = EscalationNote(row.chain, row.step)
        return Claim(
            row.id,
            subscription,
            secret,
            alert,
            traceparent,
            row.attempts,
            row.created_at,
            digest,
            escalation,
        )


def _due_now() -> tuple[Any, ...]:
    """Return the conditions; within ``coalesce`` no index of ``next_at`` is of use.

    So what waits for a subscription is read in the order of changes, and the first few that are due suffice:
    by ``next_at`` all that is due, of everybody, would be read and sorted.
    """
    now = bindparam("now", type_=DeliveryRow.next_at.type)
    return (
        DeliveryRow.state == "pending",
        func.coalesce(DeliveryRow.next_at, DeliveryRow.deadline) <= now,
        DeliveryRow.deadline > now,
        _is_free(now),
    )


def _is_free(now: Any) -> Any:
    return or_(DeliveryRow.claimed_until.is_(None), DeliveryRow.claimed_until <= now)


def _is_behind() -> Any:
    """Return the condition that an earlier change of the incident is still to be delivered."""
    earlier = aliased(DeliveryRow)
    return exists(
        select(earlier.id).where(
            earlier.subscription == DeliveryRow.subscription,
            earlier.incident == DeliveryRow.incident,
            earlier.change < DeliveryRow.change,
            earlier.state == "pending",
        )
    )


# Made once: to put such a statement together costs several times as much as to run it.
_DUE = select(SubscriptionRow.id).where(
    SubscriptionRow.enabled,
    exists(select(DeliveryRow.id).where(DeliveryRow.subscription == SubscriptionRow.id, *_due_now())),
)
_OF_ONE = (
    select(DeliveryRow)
    .where(DeliveryRow.subscription == bindparam("subscription"), *_due_now())
    .limit(bindparam("room", type_=Integer))
    .with_for_update(skip_locked=True)
)
_DIGESTS = _OF_ONE.where(DeliveryRow.change.is_(None)).order_by(DeliveryRow.created_at)
_CHANGES = _OF_ONE.where(DeliveryRow.change.is_not(None), ~_is_behind()).order_by(DeliveryRow.change)
_CONTENTS = select(ChangeRow.id, ChangeRow.content, ChangeRow.traceparent).where(
    ChangeRow.id.in_(bindparam("ids", expanding=True))
)
_PENDING = (
    select(DeliveryRow.id, DeliveryRow.claimed_by)
    .where(DeliveryRow.id.in_(bindparam("ids", expanding=True)), DeliveryRow.state == "pending")
    .order_by(DeliveryRow.id)  # whoever else settles some of them locks them in the same order
    .with_for_update()
)


def _count(result: Any) -> int:
    assert isinstance(result, CursorResult)
    return int(result.rowcount)
