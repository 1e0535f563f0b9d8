"""Records that were read and are not yet committed: taken, handed out, collected and released, per partition.

It knows neither how they are committed nor where: a loop that writes to Kafka and one that writes to a
database stand on it alike.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Generic, Protocol

from steadyline.errors import Backpressure, PoisonMessage
from steadyline.kafka import metrics
from steadyline.kafka.broker import Partition, Record
from steadyline.kafka.loop.partition_queue import PartitionQueue, Result, TakenRecord, refused

WINDOW = 256  # offsets between the first and the last record of a partition that the handler has at once


class RecordHandler(Protocol[Result]):
    """Turns one record into its result; the loop sees to order, commits and dead letters."""

    def submit(self, record: Record) -> Future[Result]:
        """Begin work on ``record``.

        Raises Backpressure (held and offered again) or PoisonMessage (dead-lettered); the future may raise
        PoisonMessage too. What is transient is retried by the handler: the future stays pending meanwhile.
        A future that the loop cancels is of a partition that went elsewhere: nobody waits for it.
        """
        ...

    def drop(self, partition: Partition) -> None:
        """Results of this partition are no longer wanted: it went to another worker."""
        ...


class Pausable(Protocol):
    """What records are read from, as far as it can be told to deliver less."""

    def pause(self, partition: Partition) -> None:
        """Deliver nothing more of ``partition`` until ``resume``."""
        ...

    def resume(self, partition: Partition) -> None:
        """Undo ``pause``; a partition no longer owned is ignored."""
        ...


class HandOutGate(Protocol):
    """Decides which record may be handed out now."""

    def look(self, first: Sequence[Record]) -> None:
        """See the first record that waits of each partition, before any of them is admitted."""
        ...

    def admits(self, record: Record, in_hand: int) -> bool:
        """Return True when a record may be handed out while ``in_hand`` others are; raises PoisonMessage."""
        ...

    def forget(self, partition: Partition) -> None:
        """What was in hand of this partition is forgotten."""
        ...


class OpenGate:
    """Admits every record, for a loop whose offsets are kept elsewhere than in the group."""

    def look(self, first: Sequence[Record]) -> None:
        """Nothing is to be known of them."""

    def admits(self, record: Record, in_hand: int) -> bool:
        return True

    def forget(self, partition: Partition) -> None:
        """Nothing is kept."""


@dataclass(frozen=True, slots=True)
class QueueLimits:
    """A partition pauses above ``high`` records or ``high_bytes`` in hand.

    It goes on below ``low`` records and half the bytes.
    """

    high: int = 128
    low: int = 64
    high_bytes: int = 16 << 20


class InHand(Generic[Result]):
    """The queues of all partitions between one source and one handler; used from one thread."""

    def __init__(
        self,
        source: Pausable,
        handler: RecordHandler[Result],
        limits: QueueLimits,
        gate: HandOutGate | None = None,
    ) -> None:
        self._source, self._handler, self._limits = source, handler, limits
        self._gate = gate or OpenGate()
        self._queues: dict[Partition, PartitionQueue[Result]] = {}
        self._turns = 0

    def __len__(self) -> int:
        return sum(len(queue) for queue in self._queues.values())

    @property
    def taken(self) -> int:
        """How many records the handler has taken, finished or not."""
        return sum(len(queue.taken) for queue in self._queues.values())

    @property
    def is_behind(self) -> bool:
        """True while records wait for the handler."""
        return any(queue.waiting or queue.paused for queue in self._queues.values())

    def add(self, partition: Partition, records: Sequence[Record]) -> None:
        """Append what was read; a partition that has enough in hand is paused."""
        queue = self._queues.setdefault(partition, PartitionQueue())
        queue.add(records)
        is_full = len(queue) > self._limits.high or queue.bytes > self._limits.high_bytes
        if is_full and not queue.paused:
            self._source.pause(partition)
            queue.paused = True

    def hand_out(self) -> None:
        """Offer what waits to the handler, in order per partition, until it has no room.

        It is never offered a record whose headers no record of ours can have.
        """
        self._turns += 1
        self._gate.look([queue.waiting[0] for queue in self._queues.values() if queue.waiting])
        for queue in self._in_turn():
            while queue.waiting:
                record = queue.waiting[0]
                try:
                    if not self._is_admitted(queue, record):
                        break
                    record.check()
                    queue.take(self._handler.submit(record))
                except Backpressure as error:
                    metrics.HELD.add(1, reason=error.reason)
                    return
                except PoisonMessage as error:
                    queue.take(refused(error))

    def _is_admitted(self, queue: PartitionQueue[Result], record: Record) -> bool:
        is_near = not queue.taken or record.offset < queue.taken[0].record.offset + WINDOW
        return is_near and self._gate.admits(record, self.taken)

    def finished(self) -> Iterator[Iterator[TakenRecord[Result]]]:
        """Yield, for one partition after the other, its finished prefix, oldest first.

        Only a beginning of a prefix may be committed, with ``next_offsets``, and is then released.
        """
        for queue in self._in_turn():
            yield queue.finished()

    def refuse(self, entry: TakenRecord[Result], error: PoisonMessage) -> None:
        """Let a finished record be refused after all: what was made of it cannot be written."""
        self._queues[entry.record.partition].refuse(entry, error)

    def release(self, committed: Iterable[TakenRecord[Result]]) -> None:
        """Forget what is committed; partitions with room go on."""
        for partition, count in Counter(entry.record.partition for entry in committed).items():
            queue = self._queues[partition]
            queue.release(count)
            has_room = len(queue) < self._limits.low and 2 * queue.bytes < self._limits.high_bytes
            if queue.paused and has_room:
                self._source.resume(partition)
                queue.paused = False

    def drop(self, lost: Iterable[Partition]) -> None:
        """Forget partitions that went elsewhere, and let the handler forget them."""
        for partition in lost:
            queue = self._queues.pop(partition, None)
            if queue is not None:
                queue.abandon()
            self._handler.drop(partition)
            self._gate.forget(partition)

    def drop_all(self) -> None:
        """Forget everything: it is read again."""
        self.drop(list(self._queues))

    def take_no_more(self) -> None:
        """Forget what waits and pause every partition for good; what the handler has taken stays."""
        for partition, queue in self._queues.items():
            queue.waiting.clear()
            queue.paused = False  # for good: a queue that was released by a commit would be resumed
            self._source.pause(partition)

    def _in_turn(self) -> list[PartitionQueue[Result]]:
        """Return the queues, each time beginning with another: a busy one must not starve the rest."""
        queues = list(self._queues.values())
        first = self._turns % max(1, len(queues))
        return queues[first:] + queues[:first]


def next_offsets(committed: Iterable[TakenRecord[Any]]) -> dict[Partition, int]:
    """Return, per partition, the offset after the last of ``committed``, which are in order per partition."""
    return {entry.record.partition: entry.record.offset + 1 for entry in committed}
