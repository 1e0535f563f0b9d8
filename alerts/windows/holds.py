"""What holds a change back beside the line's limit: a maintenance window, or its age."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import cache

from sqlalchemy.orm import Session

from alerts.database.changes import HoldWords
from alerts.incidents.incident import IncidentChange
from alerts.incidents.limit import HeldBy
from alerts.windows.store import WindowStore, is_noteworthy
from alerts.windows.window import MaintenanceWindow, Occurrence, in_force

_Holding = tuple[MaintenanceWindow, Occurrence]


class WindowHolds:
    """See ``Holds``. The moments are those of the changes; only age is told by our clock."""

    def __init__(self, notify_within: timedelta, store: WindowStore | None = None) -> None:
        self._notify_within, self._store = notify_within, store or WindowStore()

    def prepare(self, session: Session, changes: Sequence[IncidentChange], now: datetime) -> HoldWords:
        """Work out which windows are in force at each change; what is left is to look which have ended."""
        windows = self._store.every(session)
        found = [
            None if now - change.incident.changed_at > self._notify_within else _holding(windows, change, now)
            for change in changes
        ]

        def words() -> list[HeldBy | None]:
            is_open = self._open_now(session)
            return ["old" if one is None else "window" if any(map(is_open, one)) else None for one in found]

        return words

    def _open_now(self, session: Session) -> Callable[[_Holding], bool]:
        """Return what tells whether a summary at the end of an occurrence is still to come."""
        versions = self._store.versions(session)

        @cache
        def is_told(window: str, occurrence: Occurrence) -> bool:
            return self._store.is_noted_since(session, window, occurrence)

        def is_open(holding: _Holding) -> bool:
            window, occurrence = holding
            # One that somebody has edited meanwhile holds nothing: what it was may have had its summary.
            is_as_it_was = versions.get(window.id) == window.version
            return is_as_it_was and not is_told(window.id, occurrence)

        return is_open


def _holding(windows: Sequence[MaintenanceWindow], change: IncidentChange, now: datetime) -> list[_Holding]:
    """Return the windows that hold a change, with the occurrence of each: those that sum up at their end."""
    incident = change.incident
    found = [in_force([window], incident, incident.changed_at) for window in windows]
    return [one for one in found if one is not None and is_noteworthy(*one, now)]
