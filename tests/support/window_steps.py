"""Maintenance windows and changes on a migrated database, as the service makes them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from alerts.database.changes import ChangeWriter
from alerts.database.connection import Database
from alerts.database.tables import ChangeRow
from alerts.deliveries.outbox import DeliveryOutbox
from alerts.incidents.incident import Incident, IncidentChange
from alerts.incidents.limit import LimitState, admit
from alerts.subscriptions.channel import WebhookChannel
from alerts.subscriptions.filter import SubscriptionFilter
from alerts.subscriptions.store import SubscriptionStore
from alerts.windows.ends import WindowEnds
from alerts.windows.holds import WindowHolds
from alerts.windows.store import WindowStore
from alerts.windows.window import MaintenanceWindow, WindowSchedule, WindowScope
from steadyline.clock import ManualClock
from steadyline.contracts.alert_digest import AlertDigest
from tests.support.alert_outbox import Wish
from tests.support.incidents import DAY, a_line

URL = "https://plant.example/hook"
LINE = a_line(product={"cooldown": "0s"})


@dataclass(frozen=True)
class WantedWindow:
    """What somebody wants a window to be: an hour of the first day, of the line as a whole."""

    name: str = "oil change"
    scope: WindowScope = field(default_factory=WindowScope)
    schedule: WindowSchedule = field(
        default_factory=lambda: WindowSchedule(
            start=DAY.replace(tzinfo=None) + timedelta(hours=1), duration_minutes=60, zone="UTC"
        )
    )


@dataclass
class KeptDigests:
    """Keeps the digests that were to be delivered."""

    given: list[tuple[str, AlertDigest]] = field(default_factory=list)

    def enqueue_digest(
        self, session: Session, subscription_id: str, digest: AlertDigest, now: datetime
    ) -> None:
        self.given.append((subscription_id, AlertDigest.decode(digest.encode())))


@dataclass
class WindowBench:
    """A database with windows in it; each writer and each task is as that of another process."""

    database: Database
    clock: ManualClock = field(default_factory=lambda: ManualClock(DAY))
    digests: KeptDigests = field(default_factory=KeptDigests)
    store: WindowStore = field(default_factory=WindowStore)

    def make(self, **wanted: Any) -> MaintenanceWindow:
        """Make a window."""
        with self.database.transaction() as session:
            return self.store.create(session, WantedWindow(**wanted), "ann", self.clock.now())

    def end(self, window: MaintenanceWindow) -> None:
        """End a window early, now."""
        with self.database.transaction() as session:
            assert self.store.end(session, window.id, window.version, self.clock.now()) is not None

    def subscribe(self, **condition: Any) -> str:
        """Return the id of a new subscription with such a filter."""
        wish = Wish("plant", WebhookChannel(url=URL), SubscriptionFilter.model_validate(condition))
        with self.database.transaction() as session:
            return SubscriptionStore().create(session, wish, "ann", self.clock.now())[0].id

    def write(self, *changes: IncidentChange) -> list[str | None]:
        """Write changes of one scope as the service does; return for each what holds it back."""
        return self.write_all({"scores/c1": changes})

    def write_all(self, changes: Mapping[str, Sequence[IncidentChange]]) -> list[str | None]:
        """Write changes by their scopes; return for each what holds it back."""
        holds = WindowHolds(timedelta(hours=2))
        writer = ChangeWriter(DeliveryOutbox(), partial(admit, LINE), LimitState(), holds=holds)
        with self.database.transaction() as session:
            rows = writer.write_all(session, changes, self.clock.now())
            return [row.held_by for row in rows]

    def ends(self) -> WindowEnds:
        """Return the task of a process that has run for long."""
        now = self.clock.now()
        self.clock.set(now - timedelta(days=1))
        task = WindowEnds(self.database, self.digests, self.clock)
        self.clock.set(now)
        return task

    def told_after(self) -> Sequence[tuple[int, str | None]]:
        """Return (sequence, window) of each change, in order."""
        with self.database.transaction() as session:
            rows = session.execute(select(ChangeRow.sequence, ChangeRow.told_after).order_by(ChangeRow.id))
            return [(sequence, window) for sequence, window in rows]


def changed(incident: Incident, change: Any, at: datetime, **fields: Any) -> IncidentChange:
    """Return the next change of an incident."""
    sequence = incident.sequence + (change != "opened")
    return IncidentChange(
        incident.with_changes(sequence=sequence, changed_at=at, **fields), change, "because"
    )
