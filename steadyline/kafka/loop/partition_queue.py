"""One partition's records in hand, in order, with their results as they come."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any, Generic, TypeVar

from steadyline.errors import PoisonMessage
from steadyline.kafka.broker import Record

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class TakenRecord(Generic[Result]):
    """One record that the handler has taken, and what it makes of it."""

    record: Record
    result: Future[Result]

    @property
    def refusal(self) -> PoisonMessage | None:
        """Why the finished record was refused; None when it was not."""
        error = self.result.exception()
        return error if isinstance(error, PoisonMessage) else None


@dataclass(slots=True)
class PartitionQueue(Generic[Result]):
    """Records of one partition, oldest first: those the handler has taken, then those that wait for it.

    Only the finished prefix may be committed: that keeps the order. ``bytes`` counts whole records.
    """

    taken: deque[TakenRecord[Result]] = field(default_factory=deque)
    waiting: deque[Record] = field(default_factory=deque)
    bytes: int = 0
    paused: bool = False

    def __len__(self) -> int:
        return len(self.taken) + len(self.waiting)

    def add(self, records: Sequence[Record]) -> None:
        """Append what was read."""
        self.waiting.extend(records)
        self.bytes += sum(record.size for record in records)

    def take(self, result: Future[Result]) -> None:
        """The handler has taken the first record that waits."""
        self.taken.append(TakenRecord(self.waiting.popleft(), result))

    def finished(self) -> Iterator[TakenRecord[Result]]:
        """Yield the longest finished prefix."""
        return takewhile(lambda entry: entry.result.done(), self.taken)

    def refuse(self, entry: TakenRecord[Result], error: PoisonMessage) -> None:
        """Let an entry that is finished be refused instead: its result cannot be written."""
        self.taken[self.taken.index(entry)] = TakenRecord(entry.record, refused(error))

    def release(self, count: int) -> None:
        """Forget the first ``count`` entries: they are committed."""
        for _ in range(count):
            self.bytes -= self.taken.popleft().record.size

    def abandon(self) -> None:
        """Cancel what is still running: its result is not wanted."""
        for entry in self.taken:
            entry.result.cancel()
        self.taken.clear()
        self.waiting.clear()
        self.bytes = 0


def refused(error: PoisonMessage) -> Future[Any]:
    """Return the result of a record that no handler has taken, or whose own result is not wanted."""
    result: Future[Any] = Future()
    result.set_exception(error)
    return result
