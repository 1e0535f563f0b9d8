"""Which process measures the line at present, and how far it has counted the dead letters."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from alerts.database.connection import insert_missing
from alerts.database.tables import LineWatchRow


@dataclass(frozen=True, slots=True)
class CountedLetters:
    """The next offset of each partition of the dead letters, and the id of the topic that it is on.

    The id is empty while nothing was looked at yet.
    """

    topic_id: str = ""
    next: Mapping[int, int] = field(default_factory=dict)


class LineWatchPlace:
    """The row of the line; every call is within a transaction of the caller."""

    def __init__(self, line: str, holder: str, held: timedelta) -> None:
        """``holder`` is no other process's; ``held`` is longer than the time between two measures."""
        self._line, self._holder, self._held = line, holder, held

    def take(self, session: Session, now: datetime) -> CountedLetters | None:
        """Hold the place from now on; return None while another process holds it."""
        row = self._locked(session)
        is_free = row.held_until is None or row.held_until <= now
        if row.holder != self._holder and not is_free:
            return None
        row.holder, row.held_until = self._holder, now + self._held
        places = json.loads(row.positions) if row.positions else {}
        return CountedLetters(row.topic_id, {int(number): offset for number, offset in places.items()})

    def note(self, session: Session, counted: CountedLetters) -> bool:
        """Write how far was counted; return False, writing nothing, when another process has the place."""
        row = self._locked(session)
        if row.holder != self._holder:
            return False
        row.topic_id, row.positions = counted.topic_id, json.dumps(dict(counted.next))
        return True

    def leave(self, session: Session) -> None:
        """Let another process go on at once."""
        row = self._locked(session)
        if row.holder == self._holder:
            row.holder, row.held_until = None, None

    def _locked(self, session: Session) -> LineWatchRow:
        insert_missing(session, LineWatchRow, [{"line": self._line, "topic_id": "", "positions": ""}])
        row = select(LineWatchRow).where(LineWatchRow.line == self._line).with_for_update()
        return session.scalars(row.execution_options(populate_existing=True)).one()
