"""The exactly-once loop: take, hand out, commit the finished prefix of each partition with its offsets."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

from steadyline.clock import Clock
from steadyline.errors import Backpressure, BrokerUnavailable, PoisonMessage
from steadyline.kafka import metrics
from steadyline.kafka.broker import (
    Message,
    Partition,
    Record,
    TransactionAborted,
    TransactionBroken,
    Worker,
)
from steadyline.kafka.dead_letter import dead_letter
from steadyline.kafka.dlq_limit import StormGuard, StormLimit
from steadyline.kafka.partition_queue import Outputs, PartitionQueue, TakenRecord
from steadyline.telemetry.logs import get_logger

log = get_logger(__name__)


class RecordHandler(Protocol):
    """Turns one record into messages; the loop sees to order, transactions and dead letters."""

    def submit(self, record: Record) -> Future[Outputs]:
        """Begin work on ``record``.

        Raises Backpressure (held and offered again) or PoisonMessage (dead-lettered); the future may raise
        PoisonMessage too. What is transient is retried by the handler: the future stays pending meanwhile.
        A future that the loop cancels is of a partition that went elsewhere: nobody waits for it.
        """
        ...

    def drop(self, partition: Partition) -> None:
        """Results of this partition are no longer wanted: it went to another worker."""
        ...


@dataclass(frozen=True, slots=True)
class LoopPolicy:
    """How much is in hand, and how often it is committed.

    A partition pauses above ``high`` records or ``high_bytes`` in hand and goes on below ``low`` and half the
    bytes. Commits are ``commit_every`` apart: 25 ms keeps a lone frame quick. While records wait for the
    handler, commits and polls are ``behind_factor`` times as far apart: those records are late anyway, and a
    transaction costs about 8 ms of CPU, the broker's included, whether it holds 8 records or 40; a poll half
    a millisecond. A poll with nothing in hand may last ``idle_factor`` times as long: what arrives ends it.
    """

    poll: timedelta = timedelta(milliseconds=5)
    commit_every: timedelta = timedelta(milliseconds=25)
    behind_factor: int = 4
    idle_factor: int = 10
    high: int = 128
    low: int = 64
    high_bytes: int = 16 << 20
    transaction_messages: int = 256
    transaction_bytes: int = 16 << 20
    outage_pause: timedelta = timedelta(milliseconds=200)
    drain: timedelta = timedelta(seconds=20)
    storm: StormLimit = field(default_factory=StormLimit)


class StreamLoop:
    """Runs one worker with one handler until told to stop; used from one thread."""

    def __init__(
        self, worker: Worker, handler: RecordHandler, dead_letters: str, policy: LoopPolicy, clock: Clock
    ) -> None:
        self._worker, self._handler, self._dead_letters = worker, handler, dead_letters
        self._policy, self._clock = policy, clock
        self._lanes: dict[Partition, PartitionQueue] = {}
        self._storm = StormGuard(policy.storm, clock)
        self._turns = 0
        self._last_commit = clock.monotonic()
        self.on_turn: Callable[[], None] = lambda: None

    def run(self, stop: threading.Event) -> None:
        """Turn until ``stop``; then finish what is in hand, commit it and return. Fatal errors come out."""
        while not stop.is_set():
            self.turn(stop)
        self._finish()

    def turn(self, stop: threading.Event) -> None:
        """Poll, hand out, commit when it is time."""
        self.on_turn()
        try:
            polled = self._worker.poll(self._poll_wait())
        except BrokerUnavailable as error:
            metrics.HELD.add(1, reason=error.reason)
            self._clock.wait(stop, self._policy.outage_pause)
            return
        self._drop_lost()
        for partition, records in polled.items():
            self._take(partition, records)
        self._hand_out()
        apart = self._paced(self._policy.commit_every).total_seconds()
        if self._clock.monotonic() - self._last_commit >= apart:
            self._last_commit = self._clock.monotonic()
            self._commit()
        metrics.IN_HAND.set(sum(len(lane) for lane in self._lanes.values()))

    def _drop_lost(self) -> None:
        for partition in self._worker.take_lost():
            lane = self._lanes.pop(partition, None)
            if lane is not None:
                lane.abandon()
            self._handler.drop(partition)

    def _take(self, partition: Partition, records: Sequence[Record]) -> None:
        lane = self._lanes.setdefault(partition, PartitionQueue())
        lane.add(records)
        is_full = len(lane) > self._policy.high or lane.bytes > self._policy.high_bytes
        if is_full and not lane.paused:
            self._worker.pause(partition)
            lane.paused = True

    def _in_turn(self) -> list[tuple[Partition, PartitionQueue]]:
        """Return the lanes, each time beginning with another: a busy one must not starve the rest."""
        lanes = list(self._lanes.items())
        first = self._turns % max(1, len(lanes))
        return lanes[first:] + lanes[:first]

    def _hand_out(self) -> None:
        """Offer what waits to the handler, in order per partition, until it has no room."""
        self._turns += 1
        for _, lane in self._in_turn():
            while lane.waiting:
                try:
                    lane.take(self._handler.submit(lane.waiting[0]))
                except Backpressure as error:
                    metrics.HELD.add(1, reason=error.reason)
                    return
                except PoisonMessage as error:
                    refused: Future[Outputs] = Future()
                    refused.set_exception(error)
                    lane.take(refused)

    def _poll_wait(self) -> timedelta:
        has_work = any(len(lane) for lane in self._lanes.values())
        return self._paced(self._policy.poll) if has_work else self._policy.poll * self._policy.idle_factor

    def _paced(self, apart: timedelta) -> timedelta:
        """Return ``apart``, or more while records wait for the handler."""
        is_behind = any(lane.waiting or lane.paused for lane in self._lanes.values())
        return apart * self._policy.behind_factor if is_behind else apart

    def _commit(self) -> None:
        """Commit the finished prefixes in one transaction; what does not go through is tried again."""
        taken, messages, offsets = self._collect()
        if not taken:
            return
        began = self._clock.monotonic()
        try:
            done = self._worker.commit(messages, offsets)
        except TransactionAborted as error:
            metrics.TRANSACTIONS.add(1, outcome="aborted")
            log.warning("transaction_aborted", error=str(error))
            return
        except TransactionBroken as error:
            metrics.TRANSACTIONS.add(1, outcome="broken")
            log.warning("transaction_broken", error=str(error))
            self._start_over()
            return
        except BrokerUnavailable as error:
            metrics.HELD.add(1, reason=error.reason)
            return
        if not done:
            metrics.TRANSACTIONS.add(1, outcome="deferred")
            return
        metrics.TRANSACTIONS.add(1, outcome="committed")
        metrics.COMMIT_SECONDS.record(self._clock.monotonic() - began)
        self._release(taken)

    def _collect(self) -> tuple[dict[Partition, list[TakenRecord]], list[Message], dict[Partition, int]]:
        taken: dict[Partition, list[TakenRecord]] = {}
        messages: list[Message] = []
        offsets: dict[Partition, int] = {}
        size = 0
        for partition, lane in self._in_turn():
            for entry in lane.finished(self._policy.transaction_messages - len(messages)):
                outputs = self._outputs(entry)
                added = sum(len(message.value or b"") for message in outputs)
                if messages and size + added > self._policy.transaction_bytes:
                    break
                size += added
                messages.extend(outputs)
                offsets[partition] = entry.record.offset + 1
                taken.setdefault(partition, []).append(entry)
        return taken, messages, offsets

    def _outputs(self, entry: TakenRecord) -> Outputs:
        """Return the messages of a finished entry; a refused one becomes its dead letter."""
        try:
            return entry.result.result()
        except PoisonMessage as error:
            return [dead_letter(entry.record, error, self._dead_letters)]

    def _release(self, taken: dict[Partition, list[TakenRecord]]) -> None:
        """Forget what is committed; partitions with room go on. Raises DeadLetterStorm."""
        for partition, entries in taken.items():
            lane = self._lanes[partition]
            lane.release(len(entries))
            has_room = len(lane) < self._policy.low and 2 * lane.bytes < self._policy.high_bytes
            if lane.paused and has_room:
                self._worker.resume(partition)
                lane.paused = False
        for partition, entries in taken.items():
            for entry in entries:
                self._count(partition, entry)

    def _count(self, partition: Partition, entry: TakenRecord) -> None:
        error = entry.result.exception()
        if not isinstance(error, PoisonMessage):
            self._storm.count(False)
            return
        metrics.DEAD_LETTERS.add(1, reason=error.reason)
        log.warning(
            "dead_letter",
            reason=error.reason,
            error=str(error),
            partition=partition.number,
            offset=entry.record.offset,
        )
        self._storm.count(True, error.reason)

    def _start_over(self) -> None:
        """Forget everything in hand and go on from what the broker has committed."""
        for partition, lane in self._lanes.items():
            lane.abandon()
            self._handler.drop(partition)
        self._lanes.clear()
        self._worker.resync()

    def _finish(self) -> None:
        """Commit what finishes within the drain time; the next worker reads the rest again."""
        end = self._clock.monotonic() + self._policy.drain.total_seconds()
        for partition, lane in self._lanes.items():
            lane.waiting.clear()
            lane.paused = False  # for good: a lane that was released by a commit would be resumed
            self._worker.pause(partition)
        while any(lane.taken for lane in self._lanes.values()):
            if self._clock.monotonic() > end:
                left = sum(len(lane.taken) for lane in self._lanes.values())
                log.warning("drain_incomplete", left=left)
                return
            self.on_turn()
            self._stay_in_group()
            self._commit()
            self._clock.wait(threading.Event(), timedelta(milliseconds=5))

    def _stay_in_group(self) -> None:
        """Poll: without it a rebalance that is under way never ends, and nothing can be committed meanwhile.

        What is delivered is not taken: the next worker reads it from the committed offset.
        """
        try:
            self._worker.poll(timedelta(0))
        except BrokerUnavailable as error:
            metrics.HELD.add(1, reason=error.reason)
            return
        self._drop_lost()
