"""Back-off for reconnecting: doubles up to a limit, with jitter so that cameras do not come in step."""

import random
from datetime import timedelta


class Backoff:
    """Delays between half and the whole of ``first`` · 2ⁿ, at most ``longest``; endless."""

    def __init__(self, first: timedelta, longest: timedelta, chance: random.Random) -> None:
        self._first = first
        self._longest = longest
        self._chance = chance
        self._failures = 0

    def next(self) -> timedelta:
        """Return the next delay."""
        factor: int = 1 << min(self._failures, 20)
        self._failures += 1
        return min(self._first * factor, self._longest) * self._chance.uniform(0.5, 1.0)

    def reset(self) -> None:
        """The camera gave a frame: begin with the shortest delay again."""
        self._failures = 0
