"""Makes a delivery of what was collected, when its time has come.

Any number of processes may do so: the row of the subscription is locked, and what was collected is taken away
in the transaction that writes the delivery. So each change is in one digest, whenever a process ends.
"""

import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta

from sqlalchemy import delete, exists, or_, select
from sqlalchemy.orm import Session

from alerts.database.connection import Database
from alerts.database.tables import ChangeRow, CollectedRow, SubscriptionRow
from alerts.deliveries.digest_outbox import DigestDeliveries
from alerts.digests.gather import gather, title_of
from alerts.digests.metrics import DIGEST_LEFT_OUT, DIGEST_WAITS, DIGESTS
from alerts.subscriptions.store import read_digest_rule
from steadyline.backoff import Backoff, RetryTimer
from steadyline.clock import Clock
from steadyline.contracts.alert import Alert
from steadyline.contracts.alert_digest import AlertDigest
from steadyline.errors import StoreUnavailable
from steadyline.telemetry.logs import get_logger

log = get_logger(__name__)

_POLL = timedelta(seconds=1)
_AT_ONCE = 500


class DigestTask:
    """One of the tasks of the service."""

    def __init__(self, database: Database, deliveries: DigestDeliveries, clock: Clock) -> None:
        self._database, self._deliveries, self._clock = database, deliveries, clock
        self._outage = RetryTimer(Backoff.of_seconds(0.5, 10.0), clock)

    def run(self, stop: threading.Event, beat: Callable[[], None]) -> None:
        """Look for what is due until ``stop`` is set; during an outage try again and again."""
        while not stop.is_set():
            beat()
            if self._outage.is_due:
                self.turn()
            self._clock.wait(stop, _POLL)

    def turn(self) -> int:
        """Make the digests that are due, and return how many."""
        made: list[AlertDigest] = []
        try:
            for subscription in self._due():
                with self._database.transaction() as session:
                    digest = self._tell(session, subscription)
                made += [digest] if digest is not None else []
        except StoreUnavailable as error:
            DIGEST_WAITS.add()
            if self._outage.failed():
                log.warning("digests_wait", reason=error.reason, error=str(error))
        else:
            self._outage.succeeded()
        for one in made:
            DIGESTS.add()
            DIGEST_LEFT_OUT.add(one.left_out)
        return len(made)

    def _due(self) -> list[str]:
        """Return the subscriptions that may be due; whether they are is found out behind the lock."""
        with self._database.read() as session:
            collected = exists().where(CollectedRow.subscription == SubscriptionRow.id)
            rows = session.execute(
                select(SubscriptionRow.id, SubscriptionRow.digest, SubscriptionRow.digest_since)
                .where(SubscriptionRow.enabled, or_(SubscriptionRow.digest.is_not(None), collected))
                .order_by(SubscriptionRow.id)
            )
            now = self._clock.now()
            return [
                id for id, rule, since in rows if since is None or _end_of_span(rule, since, now) is not None
            ]

    def _tell(self, session: Session, subscription: str) -> AlertDigest | None:
        now = self._clock.now()
        # A weaker lock than that of an edit: a change may be collected meanwhile.
        locked = select(SubscriptionRow).where(SubscriptionRow.id == subscription, SubscriptionRow.enabled)
        row = session.scalar(locked.with_for_update(key_share=True, skip_locked=True))
        if row is None:  # another process is at it, or it is gone
            return None
        if row.digest is not None and row.digest_since is None:
            row.digest_since = now
            return None
        until = _end_of_span(row.digest, row.digest_since, now)
        if until is None:
            return None
        changes = list(_taken(session, subscription, until))
        since = min([row.digest_since or now, *(change.written_at for change in changes)])
        row.digest_since = None if row.digest is None else until
        digest = _digest_of(changes, since, max(since, min(until, now)))
        if digest is not None:
            self._deliveries.enqueue_digest(session, subscription, digest, now)
        return digest


def _end_of_span(rule: str | None, since: datetime | None, now: datetime) -> datetime | None:
    """Return until when a digest is to tell, now; None while it is not due.

    What a subscription had collected before it wanted to be told at once is told at once.
    """
    known = read_digest_rule(rule)
    if known is None or since is None:
        return now + _POLL  # whatever was collected
    return known.last_end(since, now)


def _taken(session: Session, subscription: str, until: datetime) -> Iterator[ChangeRow]:
    """Take away what was collected before ``until``, and return the changes."""
    condition = (CollectedRow.subscription == subscription, CollectedRow.at < until)
    ids = sorted(session.scalars(delete(CollectedRow).where(*condition).returning(CollectedRow.change)))
    for begin in range(0, len(ids), _AT_ONCE):
        yield from session.scalars(select(ChangeRow).where(ChangeRow.id.in_(ids[begin : begin + _AT_ONCE])))


def _digest_of(changes: Sequence[ChangeRow], since: datetime, until: datetime) -> AlertDigest | None:
    """Return the digest; None of nothing."""
    if not changes:
        return None
    gathered = gather(Alert.decode(change.content.encode()) for change in changes)
    return AlertDigest(
        id=uuid.uuid4().hex,
        reason="schedule",
        title=title_of(gathered),
        since=since,
        until=until,
        alerts=list(gathered.alerts),
        left_out=gathered.left_out,
    )
