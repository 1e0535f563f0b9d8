"""Writes every change of an incident to ``alerts.v1``, in order and at least once.

How far it has got stands in a row of the database. Of several processes one writes at a time: it holds the
row for a while, and renews that with each turn.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from alerts.database.connection import Database
from alerts.database.tables import ChangeRow, PublishedRow
from alerts.deliveries.metrics import PUBLISH_FAILURES, PUBLISHED
from steadyline.backoff import Backoff, RetryTimer
from steadyline.clock import Clock
from steadyline.contracts.alert import Alert
from steadyline.errors import Backpressure, BrokerUnavailable, Fatal, PictureTooLarge, StoreUnavailable
from steadyline.kafka.broker import Message, Publisher
from steadyline.telemetry.logs import get_logger

log = get_logger(__name__)

_AT_ONCE = 200
_SENT_WITHIN = timedelta(seconds=20)


@dataclass(frozen=True, slots=True)
class PublisherPlace:
    """Where changes are written, and in whose name: ``holder`` is no other process's."""

    topic: str
    line: str
    holder: str
    held: timedelta = timedelta(seconds=30)  # longer than one turn lasts
    poll: timedelta = timedelta(milliseconds=200)


class AlertPublisher:
    """One of the tasks of the service; what it writes twice after a crash has the same id both times."""

    def __init__(self, database: Database, publisher: Publisher, place: PublisherPlace, clock: Clock) -> None:
        """``publisher`` gives a message up before the place is held no more; its owner closes it."""
        self._database, self._publisher, self._place, self._clock = database, publisher, place, clock
        self._outage = RetryTimer(Backoff.of_seconds(0.5, 10.0), clock)

    def run(self, stop: threading.Event, beat: Callable[[], None]) -> None:
        """Publish until ``stop`` is set; during an outage try again and again.

        Raises Fatal when Kafka refuses what is written.
        """
        while not stop.is_set():
            beat()
            if not self._outage.is_due or self.turn() < _AT_ONCE:
                self._clock.wait(stop, self._place.poll)
        self._leave()

    def turn(self) -> int:
        """Write the next changes, and return how many are on the topic for good."""
        try:
            changes = self._take()
            if not changes:
                return 0
            self._send(changes)
            self._note(changes[-1].id)
        except (BrokerUnavailable, Backpressure, StoreUnavailable) as error:
            PUBLISH_FAILURES.add(reason=error.reason)
            if self._outage.failed():
                log.warning("alerts_wait", reason=error.reason, error=str(error))
            return 0
        self._outage.succeeded()
        PUBLISHED.add(len(changes))
        return len(changes)

    def _take(self) -> list[ChangeRow]:
        """Return what is to be written next; nothing while another process holds the place."""
        now = self._clock.now()
        with self._database.read() as session:
            if self._is_idle(session, now):
                return []
        with self._database.transaction() as session:
            row = self._row(session)
            is_free = row.held_until is None or row.held_until <= now
            if row.holder != self._place.holder and not is_free:
                return []
            row.holder, row.held_until = self._place.holder, now + self._place.held
            query = select(ChangeRow).where(ChangeRow.id > row.change).order_by(ChangeRow.id).limit(_AT_ONCE)
            return list(session.scalars(query))

    def _is_idle(self, session: Session, now: datetime) -> bool:
        """Tell without any lock whether there is nothing to write, and no place to take or to renew."""
        row = session.get(PublishedRow, self._place.topic)
        if row is None or row.held_until is None or row.held_until <= now:
            return False
        if row.holder != self._place.holder:
            return True
        newest = session.scalar(select(func.max(ChangeRow.id))) or 0
        return row.held_until > now + self._place.held / 2 and newest <= row.change

    def _row(self, session: Session) -> PublishedRow:
        if session.get(PublishedRow, self._place.topic) is None:  # another process may make it at this moment
            insert = sqlite.insert if self._database.is_sqlite else postgresql.insert
            first = insert(PublishedRow).values(topic=self._place.topic, change=0)
            session.execute(first.on_conflict_do_nothing())
        return session.get_one(PublishedRow, self._place.topic, with_for_update=True, populate_existing=True)

    def _send(self, changes: list[ChangeRow]) -> None:
        outcomes: list[Exception | None] = []
        for change in changes:
            alert = Alert.decode(change.content.encode())
            headers = alert.headers(self._place.line, alert.incident, alert.at, change.traceparent)
            message = Message(self._place.topic, alert.incident.encode(), change.content.encode(), headers)
            try:
                self._publisher.publish(message, outcomes.append)
            except PictureTooLarge as error:
                outcomes.append(error)
        if not self._publisher.flush(_SENT_WITHIN) or len(outcomes) < len(changes):
            raise BrokerUnavailable(f"{self._place.topic} did not take all of {len(changes)} alerts in time")
        for outcome in outcomes:
            if isinstance(outcome, PictureTooLarge | Fatal):
                raise outcome
            if outcome is not None:
                raise BrokerUnavailable(f"{self._place.topic}: {outcome}") from outcome

    def _note(self, last: int) -> None:
        with self._database.transaction() as session:
            row = self._row(session)
            if row.holder == self._place.holder:
                row.change = max(row.change, last)

    def _leave(self) -> None:
        """Let another process go on at once."""
        try:
            with self._database.transaction() as session:
                row = self._row(session)
                if row.holder == self._place.holder:
                    row.holder, row.held_until = None, None
        except StoreUnavailable as error:
            log.warning("place_kept", reason=error.reason, error=str(error))  # until its time is over
