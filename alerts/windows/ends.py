"""At the end of a maintenance window, one summary of what still stands, to whoever would have been told.

Which occurrence is over is noted in the transaction that puts the summaries into the outbox, behind the lock
of the notification limit: of several processes one does it, and of a change that is written at that moment it
is certain whether it is in the summary or notifies by itself.
"""

import hashlib
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from sqlalchemy import and_, select, update
from sqlalchemy.orm import Session

from alerts.database.changes import lock_limit
from alerts.database.connection import Database
from alerts.database.incident_store import NOT_OVER
from alerts.database.tables import ChangeRow, IncidentRow, SubscriptionRow
from alerts.incidents.limit import LimitState, told_later
from alerts.subscriptions.filter import SubscriptionFilter
from alerts.windows import metrics
from alerts.windows.store import KEPT, WindowEnd, WindowStore, is_noteworthy
from alerts.windows.window import MaintenanceWindow, Occurrence
from steadyline.clock import Clock
from steadyline.contracts.alert import Alert
from steadyline.contracts.alert_digest import MOST_ALERTS, AlertDigest
from steadyline.errors import StoreUnavailable
from steadyline.telemetry.logs import get_logger

log = get_logger(__name__)

SETTLE = timedelta(
    seconds=30
)  # what happened within the window may still be on its way, at a start above all
_MOST_STANDING = 10_000
_TURN = timedelta(seconds=2)


class DigestOutbox(Protocol):
    """Where a digest becomes a delivery."""

    def enqueue_digest(
        self, session: Session, subscription_id: str, digest: AlertDigest, now: datetime
    ) -> None:
        """Add the delivery of a digest to one subscription, in the transaction of the caller."""
        ...


@dataclass(frozen=True, slots=True)
class _Ended:
    window: MaintenanceWindow
    occurrence: Occurrence


class WindowEnds:
    """A task of the service: notes which windows are over, each occurrence once."""

    def __init__(self, database: Database, outbox: DigestOutbox, clock: Clock) -> None:
        self._database, self._outbox, self._clock = database, outbox, clock
        self._store = WindowStore()
        self._started = clock.now()

    def run(self, stop: threading.Event, beat: Callable[[], None]) -> None:
        """Look again and again until ``stop`` is set."""
        while not stop.is_set():
            beat()
            self.turn()
            self._clock.wait(stop, _TURN)

    def turn(self) -> int:
        """Note what is over, and return how many summaries were put into the outbox."""
        now = self._clock.now()
        if now < self._started + SETTLE:
            return 0
        try:
            return sum(self._end(ended, now) for ended in self._over(now))
        except StoreUnavailable as error:
            metrics.END_FAILURES.add(1, reason=error.reason)
            log.warning("windows_wait", reason=error.reason, error=str(error))
            return 0

    def _over(self, now: datetime) -> list[_Ended]:
        with self._database.read() as session:
            found = [(window, self._unnoted(session, window, now)) for window in self._store.every(session)]
        return [_Ended(window, occurrence) for window, occurrence in found if occurrence is not None]

    def _unnoted(self, session: Session, window: MaintenanceWindow, now: datetime) -> Occurrence | None:
        """Return the last occurrence that is over, unless its end was noted.

        What one before it held, and nobody told of because no process ran, is told with the last one.
        """
        over = window.last_over(now - SETTLE)
        if over is None or not is_noteworthy(window, over, now):
            return None
        return None if self._store.is_noted(session, window.id, over) else over

    def _end(self, ended: _Ended, now: datetime) -> int:
        with self._database.transaction() as session:
            limit = lock_limit(session)
            window = self._store.find(session, ended.window.id, is_locked=True)
            if window is None or self._unnoted(session, window, now) != ended.occurrence:
                return 0  # another process was first, or somebody has edited it
            standing = self._standing(session, window, now)
            summaries = self._tell(session, ended, list(standing.values()), now)
            if standing:
                state = LimitState.read(limit.content.encode()) if limit.content else LimitState()
                known = told_later(state, [alert.incident for alert in standing.values()])
                limit.content = known.model_dump_json()
                told = update(ChangeRow).where(ChangeRow.id.in_(standing))
                session.execute(told.values(told_after=window.id))
            self._store.forget_ends(session, now - KEPT)
            self._store.note_end(session, WindowEnd(window.id, ended.occurrence.begin, len(standing)), now)
        metrics.ENDS.add(1)
        metrics.SUMMARIES.add(summaries)
        log.info("window_over", window=window.name, incidents=len(standing), summaries=summaries)
        return summaries

    def _standing(self, session: Session, window: MaintenanceWindow, now: datetime) -> dict[int, Alert]:
        """Return by its number the last change of each incident that nobody was told of yet."""
        is_last = and_(ChangeRow.incident == IncidentRow.id, ChangeRow.sequence == IncidentRow.sequence)
        rows = (
            select(ChangeRow.id, ChangeRow.content)
            .join(IncidentRow, is_last)
            .where(IncidentRow.state.in_(NOT_OVER))
            .where(ChangeRow.held_by == "window", ChangeRow.told_after.is_(None))
            .order_by(ChangeRow.id)
            .limit(_MOST_STANDING)
        )
        found = {number: Alert.decode(content.encode()) for number, content in session.execute(rows)}
        still = [one for one in self._store.every(session) if one.occurrence_at(now) is not None]
        return {
            number: alert
            for number, alert in found.items()
            if window.scope.includes(alert) and not any(one.scope.includes(alert) for one in still)
        }

    def _tell(self, session: Session, ended: _Ended, standing: Sequence[Alert], now: datetime) -> int:
        """Put a summary into the outbox for each subscription that takes any of it; return how many."""
        rows = select(SubscriptionRow.id, SubscriptionRow.filter).where(SubscriptionRow.enabled)
        summaries = 0
        # Locked against removal: a delivery of a subscription that is gone would be refused.
        for id, condition in session.execute(rows.with_for_update(read=True, key_share=True)).all():
            filter = SubscriptionFilter.read(condition.encode())
            wanted = [alert for alert in standing if filter.matches(alert)]
            if wanted:
                self._outbox.enqueue_digest(session, id, _digest(ended, id, wanted), now)
                summaries += 1
        return summaries


def _digest(ended: _Ended, subscription: str, standing: Sequence[Alert]) -> AlertDigest:
    window, occurrence = ended.window, ended.occurrence
    name = "\n".join(("window", window.id, occurrence.begin.isoformat(), subscription))
    number = len(standing)
    what = "1 incident still stands" if number == 1 else f"{number} incidents still stand"
    return AlertDigest(
        id=hashlib.sha256(name.encode()).hexdigest()[:32],
        reason="window_ended",
        title=f"The maintenance window {window.name} is over: {what}",
        since=occurrence.begin,
        until=occurrence.end,
        alerts=sorted(standing, key=lambda alert: alert.at)[-MOST_ALERTS:],
        left_out=max(0, number - MOST_ALERTS),
    )
