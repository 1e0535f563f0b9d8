"""Writes what the rules or people have changed: incidents, changes and the outbox, in one transaction."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime
from typing import Generic, Protocol, TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from alerts import metrics
from alerts.database.connection import insert_missing
from alerts.database.tables import ChangeRow, IncidentRow, LimitRow
from alerts.incidents.incident import Incident, IncidentChange
from alerts.incidents.limit import HeldBy
from steadyline.contracts.alert import Alert
from steadyline.contracts.message import Part
from steadyline.telemetry.tracing import span

L = TypeVar("L", bound=Part)
_THE_LIMIT = 1  # id of the one row

# State of the limit, a change, and what holds it already → the state after it, what holds the change back
# (None: it notifies), and how many were held back before it.
Admit = Callable[[L, IncidentChange, HeldBy | None], tuple[L, HeldBy | None, int]]


ToldChange = tuple[ChangeRow, Alert]  # a row that has its number, and what its content says


class Outbox(Protocol):
    """Where changes that notify become deliveries."""

    def enqueue(self, session: Session, told: Sequence[ToldChange]) -> None:
        """Add the deliveries of changes, in their order and in the transaction that writes them."""
        ...


# Returns for each change that was prepared the word of what holds it; called behind the lock of the limit.
HoldWords = Callable[[], Sequence[HeldBy | None]]


class Holds(Protocol):
    """What holds changes back beside the limit of the line."""

    def prepare(self, session: Session, changes: Sequence[IncidentChange], now: datetime) -> HoldWords:
        """Do what takes time, before the lock of the limit, for which everybody waits."""
        ...


class NothingHolds:
    """No change is held back but by the limit."""

    def prepare(self, session: Session, changes: Sequence[IncidentChange], now: datetime) -> HoldWords:
        """See ``Holds``."""
        return lambda: [None] * len(changes)


class ChangeFollower(Protocol):
    """What else goes by changes, notified or not, beside the outbox."""

    def follow(self, session: Session, change: ChangeRow, alert: Alert) -> None:
        """Note one change, in the transaction that writes it."""
        ...


class ChangeWriter(Generic[L]):
    """The one writer of incidents and changes; ``first`` is the limit's state before its first change."""

    def __init__(
        self,
        outbox: Outbox,
        admit: Admit[L],
        first: L,
        holds: Holds | None = None,
        followers: Sequence[ChangeFollower] = (),
    ) -> None:
        self._outbox, self._admit, self._first = outbox, admit, first
        self._holds, self._followers = holds or NothingHolds(), followers

    def write(
        self, session: Session, scope: str, changes: Sequence[IncidentChange], now: datetime
    ) -> list[ChangeRow]:
        """Write changes of incidents of one scope, in order, and return the rows of those that are told."""
        return self.write_all(session, {scope: changes}, now)

    def write_all(
        self, session: Session, changes: Mapping[str, Sequence[IncidentChange]], now: datetime
    ) -> list[ChangeRow]:
        """Write changes by the scopes of their incidents, see ``write``.

        The numbers of the rows follow the order of the commits, because one row is locked from the first of
        them to the end of the transaction.
        """
        told = [
            change
            for scope, some in changes.items()
            for change in self._known_from_now(session, scope, some)
            if not change.is_silent
        ]
        if not told:
            return []
        words = self._holds.prepare(session, told, now)
        limit = lock_limit(session)
        state = type(self._first).read(limit.content.encode()) if limit.content else self._first
        rows: list[ToldChange] = []
        for change, held in zip(told, words(), strict=True):
            state, held_by, suppressed = self._admit(state, change, held)
            alert = change.alert(held_by is None, suppressed)
            rows.append((_change_row(alert, held_by, change.incident.traceparent, now), alert))
        limit.content = state.model_dump_json()
        self._tell(session, rows)
        return [row for row, _ in rows]

    def _known_from_now(
        self, session: Session, scope: str, changes: Sequence[IncidentChange]
    ) -> list[IncidentChange]:
        """Write the incidents of what is not in the database yet, and return that."""
        new = self._unknown(session, changes)
        for incident in {change.incident.id: change.incident for change in new}.values():
            session.merge(_incident_row(scope, incident))
        session.flush()
        return new

    @staticmethod
    def _unknown(session: Session, changes: Sequence[IncidentChange]) -> list[IncidentChange]:
        """Return the changes that are not in the database yet.

        One is there already when the same messages come again on a topic made anew: a cluster that was
        restored, or copied.
        """
        ids = {change.incident.id for change in changes}
        rows = select(IncidentRow.id, IncidentRow.sequence).where(IncidentRow.id.in_(ids))
        known: dict[str, int] = {id: sequence for id, sequence in session.execute(rows)} if ids else {}
        return [
            change
            for change in changes
            if change.incident.sequence + change.is_silent > known.get(change.incident.id, 0)
        ]

    def _tell(self, session: Session, told: Sequence[ToldChange]) -> None:
        """Write changes and their deliveries, in spans that continue the traces of the incidents' frames."""
        with ExitStack() as spans:
            for row, alert in told:
                attributes = {"incident": alert.incident, "kind": alert.kind, "change": alert.change}
                about = span("incident", parent=row.traceparent, attributes=attributes)
                row.traceparent = spans.enter_context(about).traceparent
            session.add_all([row for row, _ in told])
            session.flush()  # gives the changes their numbers, in their order
            self._outbox.enqueue(session, [(row, alert) for row, alert in told if alert.notify])
            for row, alert in told:
                for follower in self._followers:
                    follower.follow(session, row, alert)
            session.flush()


def lock_limit(session: Session) -> LimitRow:
    """Return the row of the limit, which nobody else has until the transaction ends: no change is written."""
    insert_missing(session, LimitRow, [{"id": _THE_LIMIT, "content": ""}])
    locked = select(LimitRow).where(LimitRow.id == _THE_LIMIT).with_for_update()
    return session.scalars(locked.execution_options(populate_existing=True)).one()


def count_changes(rows: Sequence[ChangeRow]) -> None:
    """Count changes in the metrics; to be called once they are committed."""
    for row in rows:
        metrics.CHANGES.add(1, change=row.change, notify="yes" if row.notify else "no")
        if row.held_by is not None:
            metrics.HELD_BACK.add(1, reason=row.held_by)


def _change_row(alert: Alert, held_by: HeldBy | None, traceparent: str | None, now: datetime) -> ChangeRow:
    return ChangeRow(
        incident=alert.incident,
        sequence=alert.sequence,
        change=alert.change,
        at=alert.at,
        written_at=now,
        who=alert.who,
        notify=alert.notify,
        held_by=held_by,
        traceparent=traceparent,
        content=alert.encode().decode(),
    )


def _incident_row(scope: str, incident: Incident) -> IncidentRow:
    return IncidentRow(
        id=incident.id,
        scope=scope,
        kind=incident.kind,
        camera=incident.camera,
        product=incident.product,
        severity=incident.severity,
        state=incident.state,
        sequence=incident.sequence,
        opened_at=incident.opened_at,
        changed_at=incident.changed_at,
        resolved_at=incident.resolved_at,
        content=incident.model_dump_json(),
    )
