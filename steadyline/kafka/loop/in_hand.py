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
from steadyline.kafka.loop.partition_queue import PartitionQueue, Result, TakenRecord


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

    def __init__(self, source: Pausable, handler: RecordHandler[Result], limits: QueueLimits) -> None:
        self._source, self._handler, self._limits = source, handler, limits
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
        """Offer what waits to the handler, in order per partition, until it has no room."""
        self._turns += 1
        for queue in self._in_turn():
            while queue.waiting:
                try:
                    queue.take(self._handler.submit(queue.waiting[0]))
                except Backpressure as error:
                    metrics.HELD.add(1, reason=error.reason)
                    return
                except PoisonMessage as error:
                    refused: Future[Result] = Future()
                    refused.set_exception(error)
                    queue.take(refused)

    def finished(self) -> Iterator[Iterator[TakenRecord[Result]]]:
        """Yield, for one partition after the other, its finished prefix, oldest first.

        Only a beginning of a prefix may be committed, with ``next_offsets``, and is then released.
        """
        for queue in self._in_turn():
            yield queue.finished()

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
