"""How long to wait before the next attempt: doubling, bounded, with jitter."""

import random
from dataclasses import dataclass, field


@dataclass(slots=True)
class Backoff:
    """Delays of one thing that fails; ``reset`` when it works again.

    The jitter (half to all of the delay) keeps many workers from coming back at the same instant.
    """

    first_seconds: float
    longest_seconds: float
    chance: random.Random = field(default_factory=random.Random)
    failures: int = 0

    def next_seconds(self) -> float:
        """Count a failure and return the delay after it."""
        delay = min(self.longest_seconds, self.first_seconds * 2.0 ** min(self.failures, 32))
        self.failures += 1
        return delay * self.chance.uniform(0.5, 1.0)

    def reset(self) -> None:
        """Forget the failures."""
        self.failures = 0
