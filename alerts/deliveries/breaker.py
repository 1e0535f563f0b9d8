"""Leaves an endpoint alone that fails again and again, and tries it with one delivery at a time."""

from dataclasses import dataclass
from datetime import timedelta

from steadyline.backoff import Backoff, RetryTimer
from steadyline.clock import Clock


@dataclass(frozen=True, slots=True)
class BreakerRules:
    """After how many failures in a row an endpoint is left alone, and for how long."""

    failures: int = 5
    first: timedelta = timedelta(seconds=5)
    longest: timedelta = timedelta(minutes=1)


class Breaker:
    """The state of one endpoint in this process; used from one thread.

    While it is closed, deliveries go out side by side. From the first failure on there is one at a time, so
    that a dead endpoint holds one thread and no more. After ``failures`` in a row it opens: nothing goes out
    until a delay has passed, then one delivery, whose outcome closes it or opens it for longer.
    """

    def __init__(self, rules: BreakerRules, clock: Clock) -> None:
        self._rules, self._clock = rules, clock
        self._timer = RetryTimer(Backoff(rules.first, rules.longest), clock)
        self._failures = 0
        self._held_until = float("-inf")

    @property
    def is_open(self) -> bool:
        """True while the endpoint is left alone or tried with one delivery."""
        return self._timer.is_failing

    def room(self, in_flight: int, most: int) -> int:
        """Return how many more deliveries may go out now."""
        if self._clock.monotonic() < self._held_until:
            return 0
        if self._failures == 0:
            return most - in_flight
        is_due = self._timer.is_due or not self.is_open
        return 1 if is_due and in_flight == 0 else 0

    def succeeded(self) -> None:
        """Note a delivery that was taken."""
        self._failures = 0
        self._timer.succeeded()

    def failed(self, retry_after: timedelta | None = None) -> bool:
        """Note an attempt that failed; return True when it opens the breaker.

        What an endpoint asks for by ``Retry-After`` holds for all that goes to it.
        """
        self._failures += 1
        if retry_after is not None:
            self._held_until = self._clock.monotonic() + retry_after.total_seconds()
        return self._failures >= self._rules.failures and self._timer.failed()
