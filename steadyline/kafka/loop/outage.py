"""How a loop holds what it has while something that it needs is away."""

import threading

from steadyline.backoff import RetryTimer
from steadyline.clock import Clock
from steadyline.errors import Transient
from steadyline.kafka import metrics


class OutageHold:
    """Counts every hold by what is away, and says through ``retry`` when to try again; nothing is skipped.

    ``hold`` returns at once, for a loop that goes on polling so that it stays in its group; ``wait`` is for
    the outage of what is polled.
    """

    def __init__(self, retry: RetryTimer, clock: Clock) -> None:
        self.retry = retry
        self._clock = clock
        self._error: Transient | None = None

    @property
    def error(self) -> Transient | None:
        """What was met last while something is away; None while nothing is."""
        return self._error if self.retry.is_failing else None

    def hold(self, error: Transient) -> None:
        """Count one hold; ``retry`` is due after the back-off's delay."""
        self._error = error
        metrics.HELD.add(1, reason=error.reason)
        self.retry.failed()

    def wait(self, error: Transient, stop: threading.Event) -> None:
        """Count one hold and wait for the delay, or until ``stop``."""
        self.hold(error)
        self._clock.wait(stop, self.retry.delay)
