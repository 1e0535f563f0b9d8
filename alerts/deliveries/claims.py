"""The outbox as its deliverers see it: what is due is claimed for a while, and settled afterwards.

Several processes may do so at once. A claim is a lease: when its process dies, what it had claimed is due
again once the lease is over, and is delivered a second time if it had been delivered already.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import CursorResult, Select, exists, func, or_, select, update
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
        waiting = select(DeliveryRow.id).where(
            DeliveryRow.subscription == SubscriptionRow.id, *_due_at(DeliveryRow, now)
        )
        query = select(SubscriptionRow.id).where(SubscriptionRow.enabled, exists(waiting))
        return list(session.scalars(query))

    def claim(self, session: Session, subscription: str, room: int, now: datetime) -> list[Claim]:
        """Claim up to ``room`` deliveries of a subscription: digests first, then changes, the oldest first.

        Of one incident only the earliest change that is still to be delivered is among them, so that they may
        go out side by side.
        """
        due = select(DeliveryRow).where(DeliveryRow.subscription == subscription, *_due_at(DeliveryRow, now))
        digests = due.where(DeliveryRow.change.is_(None)).order_by(DeliveryRow.created_at)
        rows = self._take(session, digests, room)
        changes = due.where(DeliveryRow.change.is_not(None), ~_is_behind()).order_by(DeliveryRow.change)
        rows += self._take(session, changes, room - len(rows))
        owner = session.get(SubscriptionRow, subscription) if rows else None
        if owner is None:
            return []
        for row in rows:
            row.claimed_by, row.claimed_until = self._claimant, now + self._rules.lease
            row.attempts += 1
        known, contents = read_subscription(owner), _Contents(session, rows)
        return [contents.claim(row, known, owner.secret) for row in rows]

    @staticmethod
    def _take(session: Session, query: Select[DeliveryRow], room: int) -> list[DeliveryRow]:
        if room <= 0:
            return []
        return list(session.scalars(query.limit(room).with_for_update(skip_locked=True)))

    def settle(self, session: Session, attempts: Sequence[Attempt]) -> list[Attempt]:
        """Write down what became of claims; return those that have brought a delivery to an end.

        Once taken by the endpoint it is delivered, whoever has claimed it by now. A failure counts only while
        the claim is still ours.
        """
        return [attempt for attempt in attempts if self._settle(session, attempt)]

    def expire(self, session: Session, now: datetime) -> int:
        """Give up what nobody has in hand and whose deadline has passed; return how many."""
        found = session.execute(
            update(DeliveryRow)
            .where(DeliveryRow.state == "pending", DeliveryRow.deadline <= now, _is_free(DeliveryRow, now))
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

    def _settle(self, session: Session, attempt: Attempt) -> bool:
        outcome = attempt.outcome
        mine = update(DeliveryRow).where(DeliveryRow.id == attempt.claim.id, DeliveryRow.state == "pending")
        values: dict[str, Any] = {
            "claimed_by": None,
            "claimed_until": None,
            "last_milliseconds": round(attempt.seconds * 1000),
            "last_status": outcome.status,
            "answer_head": outcome.head[:_MOST_TEXT],
        }
        if isinstance(outcome, Receipt):
            values |= {
                "state": "delivered",
                "delivered_at": attempt.at,
                "last_reason": None,
                "last_error": None,
            }
            return _count(session.execute(mine.values(values))) > 0
        values |= {
            "last_reason": outcome.reason,
            "last_error": str(outcome)[:_MOST_TEXT],
            "next_at": attempt.at + self._delay(attempt.claim.attempts, outcome.retry_after),
        }
        if outcome.is_final:
            values["state"] = "dead"
        mine = mine.where(DeliveryRow.claimed_by == self._claimant)
        return _count(session.execute(mine.values(values))) > 0 and outcome.is_final

    def _delay(self, attempts: int, retry_after: timedelta | None) -> timedelta:
        backoff = Backoff(self._rules.first, self._rules.longest, failures=attempts - 1, least=0.0)
        return max(backoff.next(), retry_after or timedelta(0))


class _Contents:
    """What claimed rows tell of."""

    def __init__(self, session: Session, rows: Sequence[DeliveryRow]) -> None:
        found = session.execute(
            select(ChangeRow.id, ChangeRow.content, ChangeRow.traceparent).where(
                ChangeRow.id.in_([row.change for row in rows if row.change is not None])
            )
        )
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


def _due_at(row: type[DeliveryRow], now: datetime) -> tuple[Any, ...]:
    """Return the conditions; within ``coalesce`` no index of ``next_at`` is of use.

    So what waits for a subscription is read in the order of changes, and the first few that are due suffice:
    by ``next_at`` all that is due, of everybody, would be read and sorted.
    """
    return (
        row.state == "pending",
        func.coalesce(row.next_at, row.deadline) <= now,
        row.deadline > now,
        _is_free(row, now),
    )


def _is_free(row: type[DeliveryRow], now: datetime) -> Any:
    return or_(row.claimed_until.is_(None), row.claimed_until <= now)


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


def _count(result: Any) -> int:
    assert isinstance(result, CursorResult)
    return int(result.rowcount)
