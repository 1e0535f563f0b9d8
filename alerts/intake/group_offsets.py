"""Commits to the group what the database has already, with the letters of what was refused."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any

from steadyline.clock import Clock
from steadyline.errors import BrokerUnavailable
from steadyline.kafka import metrics
from steadyline.kafka.broker import OutputRefused, Partition, Record, TransactionAborted, Worker
from steadyline.kafka.loop.crash_guard import CrashGuard
from steadyline.kafka.loop.in_hand import next_offsets
from steadyline.kafka.loop.output_limit import OutputLimit
from steadyline.kafka.loop.partition_queue import TakenRecord
from steadyline.kafka.loop.refused_records import RefusedRecords
from steadyline.telemetry.logs import get_logger

log = get_logger(__name__)

MOST = 2_000  # records of the database that the group may be behind


# Partition → where the group stands; raises BrokerUnavailable.
AskPlace = Callable[[Partition], int]


class _MarkedInPlace:
    """Writes notes where the group stands, and moves it nowhere: see ``NotedGroup``.

    The record that is next may lie behind it, with markers of transactions between them. A group that stood
    there would seem to have taken more than the database has, and be moved back, without the note.
    """

    def __init__(self, worker: Worker, ask: AskPlace) -> None:
        self._worker, self._ask = worker, ask
        self._places: dict[Partition, int] = {}

    @property
    def member(self) -> str:
        return self._worker.member

    def members(self) -> frozenset[str]:
        return self._worker.members()

    def note(self, partition: Partition) -> str:
        return self._worker.note(partition)

    def mark(self, partition: Partition, offset: int, note: str) -> bool:
        try:
            if partition not in self._places:
                self._places[partition] = self._ask(partition)
        except BrokerUnavailable:
            return False
        return self._worker.mark(partition, min(self._places[partition], offset), note)

    def committed(self, offsets: Mapping[Partition, int]) -> None:
        self._places.update(offsets)

    def forget(self, partition: Partition) -> None:
        self._places.pop(partition, None)


class GroupOffsets:
    """What the group is still to be told, and the gate of the loop; used from the loop's thread.

    The database says what was taken, so the group may be behind: what is read again then is passed over. It
    is told every now and then only, because a transaction of Kafka costs more than all the rest. A letter is
    written in the same transaction as its record's offset, and so once.

    A record is in hand until the group is told of it, not only until the database has it: the note that
    counts the processes which it has ended stands in the group (decision 16). While a mark of this process
    stands there, the group is told at once.
    """

    def __init__(
        self,
        worker: Worker,
        refused: RefusedRecords,
        every: timedelta,
        clock: Clock,
        ask_place: AskPlace,
    ) -> None:
        self._worker, self._refused, self._every, self._clock = worker, refused, every, clock
        self._place = _MarkedInPlace(worker, ask_place)
        self._guard = CrashGuard(self._place)
        self._owed: list[TakenRecord[Any]] = []
        self._limit = OutputLimit()
        self._last = clock.monotonic()

    @property
    def is_empty(self) -> bool:
        """True while the group knows everything."""
        return not self._owed

    @property
    def is_full(self) -> bool:
        """True while the group is so far behind that nothing more may be taken."""
        return len(self._owed) >= MOST

    @property
    def is_due(self) -> bool:
        """True when it is time to commit: ``every`` has passed, there is much to tell, or a mark to clear."""
        is_time = self._clock.monotonic() - self._last >= self._every.total_seconds()
        return bool(self._owed) and (is_time or self.is_full or self._guard.has_marks)

    def look(self, first: Sequence[Record]) -> None:
        """See ``HandOutGate``."""
        self._guard.look(first)

    def admits(self, record: Record, in_hand: int) -> bool:
        """See ``HandOutGate``."""
        return self._guard.admits(record, in_hand + len(self._owed))

    def forget(self, partition: Partition) -> None:
        """See ``HandOutGate``."""
        self._guard.forget(partition)
        self._place.forget(partition)

    def excuse(self) -> None:
        """The database is away: the record that waits for it is not at fault when this process ends."""
        self._guard.excuse()

    def withdraw(self) -> None:
        """Take back the marks of this process, because it ends in order."""
        self._guard.withdraw()

    def owe(self, entries: Sequence[TakenRecord[Any]]) -> None:
        """Add records that are in the database, in order per partition."""
        self._owed += entries

    def drop(self, lost: Collection[Partition]) -> None:
        """Forget partitions that went elsewhere: whoever has them reads these records again."""
        if lost:
            self._owed = [entry for entry in self._owed if entry.record.partition not in lost]

    def commit(self) -> None:
        """Tell the group; what does not go through is tried again.

        Raises TransactionBroken, after which everything in hand is to be read again, or BrokerUnavailable.
        """
        self._last = self._clock.monotonic()
        entries = self._owed[:1] if self._limit.is_searching else self._owed
        refused = [(entry, entry.refusal) for entry in entries]
        letters = [
            self._refused.letter(entry.record, why, self._limit.is_short(entry))
            for entry, why in refused
            if why is not None
        ]
        offsets = next_offsets(entries)
        try:
            done = self._worker.commit(letters, offsets, self._guard.notes(offsets))
        except OutputRefused as error:
            metrics.TRANSACTIONS.add(1, outcome="aborted")
            log.warning("output_refused", error=str(error), records=len(entries))
            self._limit.poison(entries, error)
            return
        except TransactionAborted as error:
            metrics.TRANSACTIONS.add(1, outcome="aborted")
            log.warning("transaction_aborted", error=str(error))
            return
        metrics.TRANSACTIONS.add(1, outcome="committed" if done else "deferred")
        if done:
            self._place.committed(offsets)
            self._guard.committed(offsets)
            self._limit.committed(entries)
            self._refused.count(entries)
            self._owed = self._owed[len(entries) :]
