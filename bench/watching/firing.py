"""Which alerts fire once a cause is made, and after how many seconds."""

import time
from collections.abc import Callable, Set

from bench.watching.cause import Cause
from bench.watching.prometheus import Prometheus
from bench.watching.report import FiredAlerts

LOOK_SECONDS = 0.5
QUIET_LOOKS = 10  # so many in a row: what the cause before has left may come late


class FiringAlerts:
    """Looks at the alerts of a Prometheus, from the moment on at which all of a cause were quiet."""

    def __init__(self, prometheus: Prometheus) -> None:
        self._prometheus = prometheus
        self._before: Set[str] = frozenset()
        self._began = time.monotonic()
        self._seconds: dict[str, float] = {}

    def quiet(self, alerts: Set[str], within: float) -> None:
        """Wait until none of these has fired for some seconds; one that does counts as fired after 0."""
        quiet = 0

        def is_quiet() -> bool:
            nonlocal quiet
            quiet = 0 if alerts & self._prometheus.firing() else quiet + 1
            return quiet >= QUIET_LOOKS

        self._wait(is_quiet, within)
        self._before, self._began = self._prometheus.firing(), time.monotonic()

    def wait(self, alerts: Set[str], within: float) -> None:
        """Wait until each of these has fired, and note every other one that does."""
        self._wait(lambda: alerts <= self._look(), within)

    def of(self, cause: Cause) -> FiredAlerts:
        """Return what came of a cause."""
        caused = {name: seconds for name, seconds in self._seconds.items() if name in cause.every}
        return FiredAlerts(cause, caused, frozenset(self._seconds.keys() - self._before - cause.every))

    def _look(self) -> Set[str]:
        now = time.monotonic() - self._began
        for name in self._prometheus.firing():
            self._seconds.setdefault(name, 0.0 if name in self._before else now)
        return self._seconds.keys()

    def _wait(self, done: Callable[[], bool], within: float) -> None:
        end = time.monotonic() + within
        while not done() and time.monotonic() < end:
            time.sleep(LOOK_SECONDS)
