"""The task that removes what is old; any number of processes may run it on one database."""

import threading
from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from alerts.database.connection import Database
from alerts.database.evidence_store import EvidenceStore
from alerts.retention.metrics import REMOVED, RETENTION_FAILURES
from alerts.retention.old_rows import MOST, remove_audit, remove_deliveries, remove_incidents
from steadyline.alert_rules import RetentionRules
from steadyline.clock import Clock
from steadyline.contracts.score import Verdict
from steadyline.errors import Transient
from steadyline.store import Store
from steadyline.telemetry.logs import get_logger

log = get_logger(__name__)

EVERY = timedelta(minutes=10)
_SOON = timedelta(seconds=1)  # to the next turn while there is more to remove
_FILES_AT_ONCE = 50
# One turn: three transactions, and so many folders of a slow store.
ANSWER_WITHIN = timedelta(minutes=30)

Remove = Callable[[Session, datetime], int]


class Retention:
    """Removes what ``rules`` no longer keep.

    Evidence goes before its row: what a crash leaves behind is removed by the next turn.
    """

    def __init__(self, database: Database, store: Store, rules: RetentionRules, clock: Clock) -> None:
        self._database, self._store, self._rules, self._clock = database, store, rules, clock
        self._evidence = EvidenceStore()

    def run(self, stop: threading.Event, beat: Callable[[timedelta], None]) -> None:
        """Work until ``stop``; ``beat`` is told each time how long the next one may take to come."""
        while not stop.is_set():
            beat(EVERY + ANSWER_WITHIN)
            wait = _SOON if self.turn(stop) else EVERY
            self._clock.wait(stop, wait)

    def turn(self, stop: threading.Event) -> bool:
        """Remove some of what is old; returns True when there may be more."""
        try:
            more = [self._rows(*one) for one in self._row_rules()]
            more += [self._files(verdict, kept, stop) for verdict, kept in self._evidence_rules()]
        except Transient as error:
            RETENTION_FAILURES.add(1, reason=error.reason)
            log.warning("retention_waits", reason=error.reason, error=str(error))
            return False
        return any(more)

    def _row_rules(self) -> list[tuple[str, Remove, timedelta | None]]:
        return [
            ("delivery", remove_deliveries, self._rules.deliveries),
            ("incident", remove_incidents, self._rules.incidents),
            ("audit", remove_audit, self._rules.audit),
        ]

    def _evidence_rules(self) -> list[tuple[Verdict, timedelta | None]]:
        return [("anomalous", self._rules.evidence), ("normal", self._rules.normal_evidence)]

    def _rows(self, what: str, remove: Remove, kept: timedelta | None) -> bool:
        if kept is None:
            return False
        with self._database.transaction() as session:
            count = remove(session, self._clock.now() - kept)
        REMOVED.add(count, what=what)
        return count == MOST

    def _files(self, verdict: Verdict, kept: timedelta | None, stop: threading.Event) -> bool:
        if kept is None:
            return False
        with self._database.transaction() as session:
            folders = self._evidence.old(session, verdict, self._clock.now() - kept, _FILES_AT_ONCE)
        gone = []
        for folder in folders:
            if stop.is_set():
                break
            self._store.delete(folder)
            gone.append(folder)
        with self._database.transaction() as session:
            self._evidence.forget(session, gone)
        REMOVED.add(len(gone), what="evidence")
        return len(folders) == _FILES_AT_ONCE
