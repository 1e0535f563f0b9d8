"""Notices when most messages are refused: then the fault is likely ours."""

from collections import deque
from dataclasses import dataclass
from datetime import timedelta

from steadyline.clock import Clock
from steadyline.telemetry.logs import get_logger

log = get_logger(__name__)

DEAD_LETTER_STORM = "dead_letter_storm"
SAY_EVERY = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class StormLimit:
    """It is a storm when more than ``fraction`` of at least ``messages`` messages within ``window`` are
    poison.
    """

    fraction: float = 0.5
    messages: int = 200
    window: timedelta = timedelta(seconds=60)


class StormGuard:
    """Watches the share of refused messages, and logs a storm at its begin and once a minute.

    Nothing is stopped: what is refused can be replayed, and anybody who may write to the topic could stop
    every worker otherwise.
    """

    def __init__(self, limit: StormLimit, clock: Clock) -> None:
        self._limit, self._clock = limit, clock
        self._seen: deque[tuple[float, bool]] = deque()
        self._poison = 0
        self._said = float("-inf")

    def count(self, is_poison: bool, reason: str = "") -> None:
        """Count one message, and say so when it belongs to a storm."""
        now = self._clock.monotonic()
        self._seen.append((now, is_poison))
        self._poison += is_poison
        if is_poison and self.is_storm and now - self._said >= SAY_EVERY.total_seconds():
            self._said = now
            log.error(
                DEAD_LETTER_STORM,
                refused=self._poison,
                of=len(self._seen),
                last_reason=reason,
                hint="look at `steadyline dlq list`, mend the cause, then `steadyline dlq replay`",
            )

    @property
    def is_storm(self) -> bool:
        """True while most of the latest messages were refused."""
        oldest = self._clock.monotonic() - self._limit.window.total_seconds()
        while self._seen and self._seen[0][0] < oldest:
            self._poison -= self._seen.popleft()[1]
        total = len(self._seen)
        return total >= self._limit.messages and self._poison > self._limit.fraction * total
