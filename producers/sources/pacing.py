"""Pacing: a steady rate that never bursts to make up for lost time."""

import threading
from datetime import timedelta

from steadyline.clock import Clock


class Pacer:
    """Waits for the next of ``fps`` ticks per second; with None or 0 it never waits."""

    def __init__(self, fps: float | None, clock: Clock) -> None:
        self._period = 1.0 / fps if fps else 0.0
        self._clock = clock
        self._next: float | None = None

    def wait(self, stop: threading.Event) -> bool:
        """Wait for the next tick; return True when ``stop`` is set. Ticks missed by a period are skipped."""
        if not self._period:
            return stop.is_set()
        now = self._clock.monotonic()
        if self._next is None or now > self._next + self._period:
            self._next = now
        stopped = self._clock.wait(stop, timedelta(seconds=self._next - now)) if self._next > now else False
        self._next += self._period
        return stopped or stop.is_set()
