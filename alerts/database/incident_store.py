"""Reads incidents and their changes."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, func, select, tuple_
from sqlalchemy.orm import Session

from alerts.database.tables import ChangeRow, IncidentRow, RuleStateRow
from alerts.incidents.incident import Incident
from steadyline.contracts.alert import Alert, IncidentKind, IncidentState, Severity

NOT_OVER: tuple[IncidentState, ...] = ("open", "acknowledged", "snoozed")


@dataclass(frozen=True, slots=True)
class IncidentFilter:
    """Which incidents are wanted: each field that is not empty must fit."""

    states: Sequence[IncidentState] = ()
    kinds: Sequence[IncidentKind] = ()
    severities: Sequence[Severity] = ()
    cameras: Sequence[str] = ()
    products: Sequence[str] = ()
    since: datetime | None = None  # opened at this moment or later
    until: datetime | None = None  # opened before

    def conditions(self) -> list[ColumnElement[bool]]:
        """Return the conditions of a query."""
        listed = (
            (IncidentRow.state, self.states),
            (IncidentRow.kind, self.kinds),
            (IncidentRow.severity, self.severities),
            (IncidentRow.camera, self.cameras),
            (IncidentRow.product, self.products),
        )
        found: list[ColumnElement[bool]] = [column.in_(values) for column, values in listed if values]
        if self.since is not None:
            found.append(IncidentRow.opened_at >= self.since)
        if self.until is not None:
            found.append(IncidentRow.opened_at < self.until)
        return found


@dataclass(frozen=True, slots=True)
class IncidentCursor:
    """The last incident of the page before."""

    opened_at: datetime
    id: str


class IncidentStore:
    """Incidents as they stand, and the story of each; every call is within a transaction of the caller."""

    def find(self, session: Session, id: str) -> Incident | None:
        """Return an incident; None when there is none of this id."""
        content = session.scalar(select(IncidentRow.content).where(IncidentRow.id == id))
        return None if content is None else _incident(content)

    def find_to_change(self, session: Session, id: str) -> tuple[str, Incident] | None:
        """Return the scope of an incident and the incident; nobody else changes it in this transaction.

        Whoever wants to change an incident reads it so: otherwise what the rules do meanwhile would be lost.
        """
        scope = session.scalar(select(IncidentRow.scope).where(IncidentRow.id == id))
        if scope is None:
            return None
        session.execute(select(RuleStateRow.scope).where(RuleStateRow.scope == scope).with_for_update())
        found = self.find(session, id)
        return None if found is None else (scope, found)

    def page(
        self, session: Session, filter: IncidentFilter, after: IncidentCursor | None, limit: int
    ) -> list[Incident]:
        """Return incidents, those opened last first, beginning behind ``after``."""
        rows = select(IncidentRow.content).where(*filter.conditions())
        if after is not None:
            rows = rows.where(tuple_(IncidentRow.opened_at, IncidentRow.id) < (after.opened_at, after.id))
        newest = rows.order_by(IncidentRow.opened_at.desc(), IncidentRow.id.desc()).limit(limit)
        return [_incident(content) for content in session.scalars(newest)]

    def not_over(self, session: Session, scopes: Collection[str]) -> dict[str, list[Incident]]:
        """Return the incidents of each scope that are not resolved, those opened first first."""
        rows = (
            select(IncidentRow.scope, IncidentRow.content)
            .where(IncidentRow.scope.in_(scopes), IncidentRow.state.in_(NOT_OVER))
            .order_by(IncidentRow.opened_at, IncidentRow.id)
        )
        found: dict[str, list[Incident]] = defaultdict(list)
        for scope, content in session.execute(rows):
            found[scope].append(_incident(content))
        return found

    def unheard(self, session: Session, scopes: Collection[str]) -> list[tuple[str, Incident]]:
        """Return the open incidents, with their scopes, of whose last change nobody heard as it was old."""
        last = (ChangeRow.incident == IncidentRow.id) & (ChangeRow.sequence == IncidentRow.sequence)
        rows = (
            select(IncidentRow.scope, IncidentRow.content)
            .join(ChangeRow, last)
            .where(IncidentRow.scope.in_(scopes), IncidentRow.state == "open", ChangeRow.held_by == "old")
            .order_by(IncidentRow.opened_at, IncidentRow.id)
        )
        return [(scope, _incident(content)) for scope, content in session.execute(rows)]

    def changes_after(self, session: Session, id: int, limit: int) -> list[tuple[int, Alert]]:
        """Return the changes with numbers above ``id``, in their order, which is that of the commits."""
        rows = select(ChangeRow.id, ChangeRow.content).where(ChangeRow.id > id).order_by(ChangeRow.id)
        return [(number, _alert(content)) for number, content in session.execute(rows.limit(limit))]

    def last_change(self, session: Session) -> int:
        """Return the greatest number of a change; 0 when there is none."""
        return session.scalar(select(func.max(ChangeRow.id))) or 0

    def story(self, session: Session, incident: str) -> list[Alert]:
        """Return all changes of one incident, in their order."""
        rows = select(ChangeRow.content).where(ChangeRow.incident == incident).order_by(ChangeRow.sequence)
        return [_alert(content) for content in session.scalars(rows)]


def after_changes(before: Iterable[Incident], changed: Iterable[Incident]) -> list[Incident]:
    """Return the incidents that are not resolved once those of ``changed`` have replaced the older ones."""
    now = {incident.id: incident for incident in before} | {incident.id: incident for incident in changed}
    return [incident for incident in now.values() if not incident.is_over]


def _incident(content: str) -> Incident:
    return Incident.read(content.encode())


def _alert(content: str) -> Alert:
    return Alert.read(content.encode())
