"""How long to wait before the next attempt: the delays double, are bounded and have jitter."""

import random
from dataclasses import dataclass, field
from datetime import timedelta

from steadyline.clock import Clock


@dataclass(slots=True)
class Backoff:
    """Gives delays between half and the whole of ``first`` · 2ⁿ, at most ``longest``.

    Its user calls ``reset`` once an attempt succeeds.

    The jitter keeps many processes from coming back at the same instant; ``least`` is the smallest share of
    a delay that it leaves.
    """

    first: timedelta
    longest: timedelta
    chance: random.Random = field(default_factory=random.Random)
    failures: int = 0
    least: float = 0.5

    @staticmethod
    def of_seconds(first: float, longest: float) -> "Backoff":
        """Return the back-off of two settings in seconds."""
        return Backoff(timedelta(seconds=first), timedelta(seconds=longest))

    @staticmethod
    def constant(pause: timedelta) -> "Backoff":
        """Return the back-off whose delays are all ``pause``."""
        return Backoff(pause, pause, least=1.0)

    def next(self) -> timedelta:
        """Count a failure and return the delay after it."""
        factor: int = 1 << min(self.failures, 20)
        self.failures += 1
        return min(self.first * factor, self.longest) * self.chance.uniform(self.least, 1.0)

    def reset(self) -> None:
        """Forget the failures."""
        self.failures = 0


class RetryTimer:
    """Says when something that is away may be tried again. It is not thread-safe: its user holds a lock."""

    def __init__(self, backoff: Backoff, clock: Clock) -> None:
        self._backoff, self._clock = backoff, clock
        self._not_before = float("-inf")
        self.delay = timedelta(0)

    @property
    def is_failing(self) -> bool:
        """Return True from the first failure until an attempt succeeds."""
        return self._backoff.failures > 0

    @property
    def is_due(self) -> bool:
        """Return True when an attempt may be made: ``delay`` has passed since the failure that set it."""
        return self._clock.monotonic() >= self._not_before

    def failed(self) -> bool:
        """Note a failure and return True when it is the first of an outage.

        Failures that come in before the next attempt is due belong to attempts made at the same time, and
        lengthen no delay.
        """
        is_first = not self.is_failing
        if self.is_due:
            self.delay = self._backoff.next()
            self._not_before = self._clock.monotonic() + self.delay.total_seconds()
        return is_first

    def succeeded(self) -> bool:
        """Note a success and return True when it ends an outage."""
        was_failing = self.is_failing
        self._backoff.reset()
        return was_failing

    def try_now(self) -> None:
        """Make the next attempt due at once, because it is of another kind than the one that failed."""
        self._not_before = float("-inf")
