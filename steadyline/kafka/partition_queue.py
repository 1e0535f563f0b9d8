"""One partition's messages in hand, in order, with their results as they come."""

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from steadyline.kafka.broker import Message, Record

Outputs = Sequence[Message]


@dataclass(frozen=True, slots=True)
class TakenRecord:
    """One record that the handler has taken, and its result."""

    record: Record
    result: Future[Outputs]


@dataclass(slots=True)
class PartitionQueue:
    """Records of one partition, oldest first: those the handler has taken, then those that wait for it.

    Only the finished prefix may be committed: that keeps the order.
    """

    taken: deque[TakenRecord] = field(default_factory=deque)
    waiting: deque[Record] = field(default_factory=deque)
    bytes: int = 0
    paused: bool = False

    def __len__(self) -> int:
        return len(self.taken) + len(self.waiting)

    def add(self, records: Sequence[Record]) -> None:
        """Append what was read."""
        self.waiting.extend(records)
        self.bytes += sum(len(record.value or b"") for record in records)

    def take(self, result: Future[Outputs]) -> None:
        """The handler has taken the first record that waits."""
        self.taken.append(TakenRecord(self.waiting.popleft(), result))

    def finished(self, limit: int) -> list[TakenRecord]:
        """Return the longest finished prefix, ``limit`` entries at most."""
        done: list[TakenRecord] = []
        for entry in self.taken:
            if len(done) >= limit or not entry.result.done():
                break
            done.append(entry)
        return done

    def release(self, count: int) -> None:
        """Forget the first ``count`` entries: they are committed."""
        for _ in range(count):
            self.bytes -= len(self.taken.popleft().record.value or b"")

    def abandon(self) -> None:
        """Cancel what is still running: its result is not wanted."""
        for entry in self.taken:
            entry.result.cancel()
        self.taken.clear()
        self.waiting.clear()
        self.bytes = 0
