"""One partition's messages in hand, in order, with their results as they come."""

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from steadyline.kafka.broker import Message, Record

Outputs = Sequence[Message]


@dataclass(slots=True)
class Entry:
    """One record and its result; ``result`` is None until the handler has taken it."""

    record: Record
    result: Future[Outputs] | None = None


@dataclass(slots=True)
class Lane:
    """Records of one partition, oldest first. Only the finished prefix may be committed."""

    entries: deque[Entry] = field(default_factory=deque)
    paused: bool = False

    def finished(self, limit: int) -> list[Entry]:
        """Return the longest finished prefix, ``limit`` entries at most."""
        done: list[Entry] = []
        for entry in self.entries:
            if len(done) >= limit or entry.result is None or not entry.result.done():
                break
            done.append(entry)
        return done

    def release(self, count: int) -> None:
        """Forget the first ``count`` entries: they are committed."""
        for _ in range(count):
            self.entries.popleft()

    def waiting(self) -> list[Entry]:
        """Return the entries that no handler has taken yet, in order."""
        return [entry for entry in self.entries if entry.result is None]

    def abandon(self) -> None:
        """Cancel what is still running; its result is not wanted."""
        for entry in self.entries:
            if entry.result is not None:
                entry.result.cancel()
        self.entries.clear()
