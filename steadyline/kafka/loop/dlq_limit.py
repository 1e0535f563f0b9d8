"""The limit on how many messages may be refused."""

from collections import deque
from dataclasses import dataclass
from datetime import timedelta

from steadyline.clock import Clock
from steadyline.errors import DeadLetterStorm


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
