"""How long to wait before the next attempt: doubling, bounded, with jitter."""

import random
from dataclasses import dataclass, field
from datetime import timedelta


@dataclass(slots=True)
class Backoff:
    """Delays between half and the whole of ``first`` · 2ⁿ, at most ``longest``; ``reset`` once it works.

    The jitter keeps many processes from coming back at the same instant.
    """

    first: timedelta
    longest: timedelta
    chance: random.Random = field(default_factory=random.Random)
    failures: int = 0

    @staticmethod
    def of_seconds(first: float, longest: float) -> "Backoff":
        """Return the back-off of two settings in seconds."""
        return Backoff(timedelta(seconds=first), timedelta(seconds=longest))

    def next(self) -> timedelta:
        """Count a failure and return the delay after it."""
        factor: int = 1 << min(self.failures, 20)
        self.failures += 1
        return min(self.first * factor, self.longest) * self.chance.uniform(0.5, 1.0)

    def reset(self) -> None:
        """Forget the failures."""
        self.failures = 0
