"""Maintenance windows in the database; every call is within its caller's transaction."""

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from pydantic import ConfigDict
from sqlalchemy import delete, exists, func, select
from sqlalchemy.orm import Session

from alerts.database.tables import WindowEndRow, WindowRow
from alerts.windows.window import MaintenanceWindow, Occurrence, WindowSchedule, WindowScope
from steadyline.contracts.message import Part

MOST_WINDOWS = 200  # every change that is told is compared with all of them
KEPT = timedelta(days=31)  # how long it is known of an occurrence that its end was noted


class WindowWish(Protocol):
    """What somebody wants a window to be."""

    @property
    def name(self) -> str:
        """For people."""
        ...

    @property
    def scope(self) -> WindowScope:
        """What it holds."""
        ...

    @property
    def schedule(self) -> WindowSchedule:
        """When it is in force."""
        ...


@dataclass(frozen=True, slots=True)
class WindowEnd:
    """An occurrence that is over, and how many incidents its summary told of."""

    window: str
    begin: datetime
    incidents: int


class _StoredPlan(Part):
    model_config = ConfigDict(frozen=True, extra="forbid")

    scope: WindowScope
    schedule: WindowSchedule


class WindowStore:
    """Finds, makes, edits, ends and removes windows, and notes which occurrences are over."""

    def create(self, session: Session, wish: WindowWish, owner: str, now: datetime) -> MaintenanceWindow:
        """Return the new window."""
        row = WindowRow(id=uuid.uuid4().hex, owner=owner, version=1, created_at=now, ended_at=None)
        _write(row, wish)
        session.add(row)
        session.flush()
        return _window(row)

    def count(self, session: Session) -> int:
        """Return how many windows there are."""
        return session.scalar(select(func.count()).select_from(WindowRow)) or 0

    def find(self, session: Session, id: str, *, is_locked: bool = False) -> MaintenanceWindow | None:
        """Return a window, on demand so that nobody else changes it in this transaction; None: none."""
        row = session.get(WindowRow, id, with_for_update=is_locked or None, populate_existing=is_locked)
        return None if row is None else _window(row)

    def page(self, session: Session, after: str | None, limit: int) -> list[MaintenanceWindow]:
        """Return up to ``limit`` windows by id, those behind the id ``after``."""
        query = select(WindowRow).order_by(WindowRow.id).limit(limit)
        if after is not None:
            query = query.where(WindowRow.id > after)
        return [_window(row) for row in session.scalars(query)]

    def every(self, session: Session) -> list[MaintenanceWindow]:
        """Return all windows."""
        return self.page(session, None, MOST_WINDOWS)

    def versions(self, session: Session) -> dict[str, int]:
        """Return id → version of all windows as they are now."""
        rows = session.execute(select(WindowRow.id, WindowRow.version))
        return {id: version for id, version in rows}

    def replace(self, session: Session, id: str, version: int, wish: WindowWish) -> MaintenanceWindow | None:
        """Put ``wish`` in place of version ``version``; None, and nothing has changed, when it is another."""
        row = self._locked(session, id, version)
        if row is None:
            return None
        _write(row, wish)
        row.version, row.ended_at = version + 1, None
        session.execute(delete(WindowEndRow).where(WindowEndRow.window == id))
        session.flush()
        return _window(row)

    def end(self, session: Session, id: str, version: int, now: datetime) -> MaintenanceWindow | None:
        """End the occurrence that is in force at ``now``; None when the window has another version."""
        row = self._locked(session, id, version)
        if row is None:
            return None
        row.version, row.ended_at = version + 1, now
        session.flush()
        return _window(row)

    def delete(self, session: Session, id: str, version: int) -> bool:
        """Remove version ``version``; False when it is another one or gone."""
        row = self._locked(session, id, version)
        if row is None:
            return False
        session.delete(row)
        session.flush()
        return True

    def is_noted(self, session: Session, window: str, occurrence: Occurrence) -> bool:
        """Tell whether the end of an occurrence was noted, and its summary made."""
        return session.get(WindowEndRow, (window, occurrence.begin)) is not None

    def is_noted_since(self, session: Session, window: str, occurrence: Occurrence) -> bool:
        """Tell whether the end of an occurrence was noted, or of one after it: then no summary is to come."""
        since = (WindowEndRow.window == window) & (WindowEndRow.begin >= occurrence.begin)
        return session.scalar(select(exists().where(since))) is True

    def is_settled(self, session: Session, window: MaintenanceWindow, now: datetime) -> bool:
        """Tell whether a window is not in force, and all that it has held was told."""
        if window.occurrence_at(now) is not None:
            return False
        over = window.last_over(now)
        return over is None or not is_noteworthy(window, over, now) or self.is_noted(session, window.id, over)

    def note_end(self, session: Session, end: WindowEnd, now: datetime) -> None:
        """Note that an occurrence is over; its row is there once."""
        row = WindowEndRow(window=end.window, begin=end.begin, noted_at=now, incidents=end.incidents)
        session.add(row)
        session.flush()

    def forget_ends(self, session: Session, before: datetime) -> None:
        """Remove what was noted before a moment."""
        session.execute(delete(WindowEndRow).where(WindowEndRow.noted_at < before))

    @staticmethod
    def _locked(session: Session, id: str, version: int) -> WindowRow | None:
        row = session.get(WindowRow, id, with_for_update=True, populate_existing=True)
        return row if row is not None and row.version == version else None


def is_noteworthy(window: MaintenanceWindow, over: Occurrence, now: datetime) -> bool:
    """Tell whether an occurrence that is over may have held anything, and is not long past."""
    return over.end >= max(window.created_at, now - KEPT)


def _write(row: WindowRow, wish: WindowWish) -> None:
    row.name = wish.name
    row.plan = _StoredPlan(scope=wish.scope, schedule=wish.schedule).model_dump_json()


def _window(row: WindowRow) -> MaintenanceWindow:
    plan = _StoredPlan.read(row.plan.encode())
    return MaintenanceWindow(
        id=row.id,
        name=row.name,
        owner=row.owner,
        scope=plan.scope,
        schedule=plan.schedule,
        version=row.version,
        created_at=row.created_at,
        ended_at=row.ended_at,
    )
