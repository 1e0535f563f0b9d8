"""Keeps the services of a line running: one that breaks is started again, one set wrongly ends all."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from math import inf

from steadyline.clock import Clock
from steadyline.own_line.services import Service, ServiceDied
from steadyline.service import EXIT_OK, EXIT_USAGE
from steadyline.terminal import PlainConsole

PAUSE = timedelta(seconds=5)
JUDGED_AFTER = timedelta(milliseconds=500)  # Ctrl-C reaches services and us alike: ours may come later


@dataclass(slots=True)
class _Supervised:
    name: str
    start: Callable[[], Service]
    running: Service | None
    at_its_end: str | None
    again_at: float = 0.0


class Supervisor:
    """Holds the services, in the order in which they were started; ``stop`` is set by a signal."""

    def __init__(self, clock: Clock, console: PlainConsole, stop: threading.Event) -> None:
        self._clock, self._console, self._stop = clock, console, stop
        self._services: list[_Supervised] = []

    def start(self, name: str, start: Callable[[], Service], at_its_end: str | None = None) -> None:
        """Start a service, and start it again from now on whenever it ends by itself.

        One that may come to the end of its work has a sentence for that: it is printed when the service has
        ended well, and another start would do the same work again.
        """
        self._services.append(_Supervised(name, start, start(), at_its_end))

    @property
    def running(self) -> Sequence[Service]:
        """The services that run now."""
        return [service.running for service in self._services if service.running is not None]

    def look(self) -> None:
        """Start again what has ended before its work was done, five seconds after it was seen.

        Raises ServiceDied, with the end of its log, when it ended because its settings or the line file are
        wrong: no other start would mend that.
        """
        for service in self._services:
            if service.running is None:
                if self._clock.monotonic() >= service.again_at and not self._stop.is_set():
                    service.running = service.start()
                continue
            status = service.running.poll()
            if status is None or self._clock.wait(self._stop, JUDGED_AFTER):
                continue
            self._ended(service, service.running, status)

    def stop(self) -> None:
        """Stop all, the last that was started first."""
        for service in reversed(self._services):
            if service.running is not None:
                service.running.stop()

    def _ended(self, service: _Supervised, ended: Service, status: int) -> None:
        if status == EXIT_USAGE:
            raise ServiceDied(
                f"{service.name} cannot run with these settings; the end of {ended.log}:",
                *ended.tail().splitlines(),
            )
        if status == EXIT_OK and service.at_its_end is not None:
            self._console.print(f"{service.name} has ended: {service.at_its_end}", soft_wrap=True)
            service.running, service.again_at = None, inf
            return
        pause = PAUSE.total_seconds()
        self._console.print(
            f"{service.name} has ended with status {status} and is started again in {pause:.0f} s; "
            f"its log is {ended.log}",
            soft_wrap=True,
        )
        service.running, service.again_at = None, self._clock.monotonic() + pause
