"""A loop whose results and offsets change in one SQL transaction, on the same parts as the Kafka loop.

``python -m tests.support.sql_loop FILE TRANSACTION`` reads a topic of its own that is always
the same, and kills itself when the rows of that transaction (0 for none) are written and not yet committed.
"""

import os
import signal
import sqlite3
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import timedelta
from itertools import chain, islice
from pathlib import Path

from steadyline.backoff import Backoff, RetryTimer
from steadyline.clock import Clock
from steadyline.errors import Backpressure, BrokerUnavailable, MalformedHeaders, StoreUnavailable
from steadyline.kafka.broker import Partition, Record, TransactionAborted, Worker
from steadyline.kafka.loop.in_hand import InHand, QueueLimits, next_offsets
from steadyline.kafka.loop.outage import OutageHold
from steadyline.kafka.loop.partition_queue import TakenRecord
from steadyline.kafka.loop.refused_records import DeadLetterPolicy, RefusedRecords
from tests.support.loop_bench import DEAD_LETTERS, STOP, TOPICS, LoopBench

PER_TRANSACTION = 5
INPUTS = [b"bad%d" % n if n % 4 == 2 else b"v%d" % n for n in range(20)]
TABLES = """
CREATE TABLE IF NOT EXISTS incidents (partition INTEGER, offset INTEGER, value TEXT);
CREATE TABLE IF NOT EXISTS offsets (partition INTEGER PRIMARY KEY, next INTEGER);
"""
Taken = TakenRecord[str]


class IncidentHandler:
    """Answers when told to, the newest first, with a row; ``bad`` is poison, at once when ``is_prompt``."""

    def __init__(self, room: int = 8, is_prompt: bool = True) -> None:
        self._room, self._is_prompt = room, is_prompt
        self.open: list[tuple[Record, Future[str]]] = []

    def submit(self, record: Record) -> Future[str]:
        if len(self.open) >= self._room:
            raise Backpressure("no room")
        if self._is_prompt and (record.value or b"").startswith(b"bad"):
            raise MalformedHeaders("bad is bad")
        result: Future[str] = Future()
        self.open.append((record, result))
        return result

    def drop(self, partition: Partition) -> None:
        self.open = [(record, result) for record, result in self.open if record.partition != partition]

    def finish(self, most: int) -> None:
        """Answer ``most`` of the open records."""
        for _ in range(min(most, len(self.open))):
            record, result = self.open.pop()
            if (record.value or b"").startswith(b"bad"):
                result.set_exception(MalformedHeaders("bad is bad"))
            else:
                result.set_result((record.value or b"").decode().upper())


class IncidentDatabase:
    """Rows and offsets in one file; ``at`` is told when rows are ``written``, and when ``committed``."""

    def __init__(self, path: Path, at: Callable[[str], None] = lambda _: None) -> None:
        self._at = at
        self._connection = sqlite3.connect(path, timeout=0, isolation_level=None)
        self._connection.executescript(TABLES)

    def write(self, entries: Sequence[Taken]) -> None:
        """Write the rows of ``entries`` that are not there yet, and how far each partition was read.

        Raises StoreUnavailable while another connection has the file locked.
        """
        with self._transaction():
            known = self.offsets()
            for entry in entries:
                place = entry.record.partition.number, entry.record.offset
                if place[1] >= known.get(place[0], 0) and entry.refusal is None:
                    self._connection.execute(
                        "INSERT INTO incidents VALUES (?, ?, ?)", (*place, entry.result.result())
                    )
            for partition, offset in next_offsets(entries).items():
                self._connection.execute(
                    "INSERT OR REPLACE INTO offsets VALUES (?, ?)",
                    (partition.number, max(offset, known.get(partition.number, 0))),
                )
            self._at("written")
        self._at("committed")

    def offsets(self) -> dict[int, int]:
        """Return partition → next offset."""
        return dict(self._connection.execute("SELECT partition, next FROM offsets"))

    def values(self, partition: int = 0) -> list[str]:
        """Return the rows of a partition in the order in which they were written."""
        rows = self._connection.execute(
            "SELECT value FROM incidents WHERE partition = ? ORDER BY rowid", (partition,)
        )
        return [value for (value,) in rows]

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep the file from every other connection."""
        self._connection.execute("BEGIN EXCLUSIVE")
        yield
        self._connection.execute("ROLLBACK")

    def close(self) -> None:
        self._connection.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            with self._connection:  # commits, or rolls back when anything is raised
                self._connection.execute("BEGIN IMMEDIATE")
                yield
        except sqlite3.OperationalError as error:
            raise StoreUnavailable(f"writing incidents: {error}") from error


class SqlLoop:
    """The database first, then the dead letters with the group's offsets: what is read again is skipped."""

    def __init__(
        self,
        worker: Worker,
        handler: IncidentHandler,
        database: IncidentDatabase,
        dead_letters: DeadLetterPolicy,
        clock: Clock,
    ) -> None:
        self._worker, self._database = worker, database
        self._in_hand = InHand(worker, handler, QueueLimits(high=8, low=4))
        self._refused = RefusedRecords(dead_letters, clock)
        self._broker_hold = OutageHold(
            RetryTimer(Backoff.constant(timedelta(milliseconds=200)), clock), clock
        )
        self._database_hold = OutageHold(RetryTimer(Backoff.of_seconds(1, 8), clock), clock)

    def turn(self) -> None:
        """Poll, hand out, commit unless the database is away."""
        try:
            polled = self._worker.poll(timedelta(0))
        except BrokerUnavailable as error:
            self._broker_hold.wait(error, STOP)
            return
        self._in_hand.drop(self._worker.take_lost())
        for partition, records in polled.items():
            self._in_hand.add(partition, records)
        self._in_hand.hand_out()
        if self._database_hold.retry.is_due:
            self._commit()

    def _commit(self) -> None:
        entries = list(islice(chain.from_iterable(self._in_hand.finished()), PER_TRANSACTION))
        if not entries:
            return
        try:
            self._database.write(entries)
        except StoreUnavailable as error:
            self._database_hold.hold(error)
            return
        self._database_hold.retry.succeeded()
        refused = [(entry.record, entry.refusal) for entry in entries]
        letters = [self._refused.letter(record, why) for record, why in refused if why is not None]
        try:
            is_committed = self._worker.commit(letters, next_offsets(entries))
        except TransactionAborted:
            return
        if is_committed:
            self._in_hand.release(entries)
            self._refused.count(entries)


def run_to_the_end(path: Path, transaction: int) -> None:
    """Write ``INPUTS`` to the database; kill this process within the given transaction."""
    left = transaction

    def at(moment: str) -> None:
        nonlocal left
        left -= moment == "written"
        if moment == "written" and left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    bench = LoopBench()
    bench.publish(*INPUTS)
    database, handler = IncidentDatabase(path, at), IncidentHandler()
    worker = bench.broker.worker("g", "a", [TOPICS.frames.name])
    loop = SqlLoop(worker, handler, database, DEAD_LETTERS, bench.clock)
    for _ in range(2 * len(INPUTS)):
        loop.turn()
        handler.finish(len(INPUTS))
    database.close()


if __name__ == "__main__":
    run_to_the_end(Path(sys.argv[1]), int(sys.argv[2]))
