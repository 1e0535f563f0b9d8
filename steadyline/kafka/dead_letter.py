"""The message that a refused record becomes, and the limit on how many may be refused."""

from collections import deque
from dataclasses import dataclass, replace
from datetime import timedelta

from steadyline.clock import Clock
from steadyline.contracts.topics import MAX_FRAME_BYTES
from steadyline.errors import DeadLetterStorm, PoisonMessage
from steadyline.kafka.broker import Message, Record

ERROR_CHARACTERS = 500
CUT_FROM = "cut-from"
HEADER_OVERHEAD = 10  # two lengths
CUT_KEY_BYTES, CUT_HEADER_BYTES = 1 << 10, 1 << 14
CUT_VALUE_BYTES = MAX_FRAME_BYTES - CUT_KEY_BYTES - CUT_HEADER_BYTES
ADDED = ("reason", "error", "source-topic", "source-partition", "source-offset")


def dead_letter(record: Record, error: PoisonMessage, topic: str) -> Message:
    """Return the record's bytes and headers untouched, with the reason and where it came from.

    Only a record that no letter can hold, because its producer had compressed it, is cut: to its first
    bytes, a short key and the first headers; ``cut-from`` then says how many bytes it had.
    """
    values = (
        error.reason,
        str(error)[:ERROR_CHARACTERS],
        record.partition.topic,
        str(record.partition.number),
        str(record.offset),
    )
    added = tuple((name, value.encode()) for name, value in zip(ADDED, values, strict=True))
    kept = record if _size(record) <= MAX_FRAME_BYTES else _cut(record)
    # The client writes no message without key and value, which other clients do: it would be a poison pill.
    value = b"" if kept.value is None and kept.key is None else kept.value
    return Message(topic, kept.key, value, kept.headers + added, record.partition.number)


def _size(record: Record) -> int:
    """Return the bytes of a record, near enough."""
    return len(record.value or b"") + len(record.key or b"") + sum(map(_header_size, record.headers))


def _header_size(header: tuple[str, bytes]) -> int:
    name, value = header
    return len(name.encode()) + len(value) + HEADER_OVERHEAD


def _cut(record: Record) -> Record:
    headers: list[tuple[str, bytes]] = []
    room = CUT_HEADER_BYTES
    for header in record.headers:
        room -= _header_size(header)
        if room < 0:
            break
        headers.append(header)
    headers.append((CUT_FROM, str(len(record.value or b"")).encode()))
    value = None if record.value is None else record.value[:CUT_VALUE_BYTES]
    key = None if record.key is None else record.key[:CUT_KEY_BYTES]
    return replace(record, value=value, key=key, headers=tuple(headers))


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
