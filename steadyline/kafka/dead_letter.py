"""The message that a refused record becomes, and the limit on how many may be refused."""

from collections import deque
from dataclasses import dataclass
from datetime import timedelta

from steadyline.clock import Clock
from steadyline.errors import DeadLetterStorm, PoisonMessage
from steadyline.kafka.broker import Message, Record

ERROR_CHARACTERS = 500
ADDED = ("reason", "error", "source-topic", "source-partition", "source-offset")


def dead_letter(record: Record, error: PoisonMessage, topic: str) -> Message:
    """Return the record's bytes and headers untouched, with the reason and where it came from."""
    values = (
        error.reason,
        str(error)[:ERROR_CHARACTERS],
        record.partition.topic,
        str(record.partition.number),
        str(record.offset),
    )
    added = tuple((name, value.encode()) for name, value in zip(ADDED, values, strict=True))
    headers = record.headers + added
    # The client writes no message without key and value, which other clients do: it would be a poison pill.
    value = b"" if record.value is None and record.key is None else record.value
    return Message(topic, record.key, value, headers, record.partition.number)


@dataclass(frozen=True, slots=True)
class StormLimit:
    """Stop when more than ``fraction`` of at least ``messages`` messages within ``window`` are poison."""

    fraction: float = 0.5
    messages: int = 200
    window: timedelta = timedelta(seconds=60)


class StormGuard:
    """Watches the share of refused messages; most of them poison means that the fault is likely ours."""

    def __init__(self, limit: StormLimit, clock: Clock) -> None:
        self._limit, self._clock = limit, clock
        self._seen: deque[tuple[float, bool]] = deque()
        self._poison = 0

    def count(self, is_poison: bool, reason: str = "") -> None:
        """Count one message; raises DeadLetterStorm when the limit is passed."""
        now = self._clock.monotonic()
        self._seen.append((now, is_poison))
        self._poison += is_poison
        oldest = now - self._limit.window.total_seconds()
        while self._seen[0][0] < oldest:
            self._poison -= self._seen.popleft()[1]
        total = len(self._seen)
        if total >= self._limit.messages and self._poison > self._limit.fraction * total:
            raise DeadLetterStorm(
                f"{self._poison} of the last {total} messages were refused (last reason: {reason}): stopping "
                "before the topic is drained; look at `steadyline dlq list`, mend the cause, then start again"
            )
