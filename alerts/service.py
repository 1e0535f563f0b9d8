"""The alerts process: the intake runs on the main thread, the other tasks run beside it."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from alerts.intake.loop import IntakeLoop
from steadyline.clock import Clock
from steadyline.errors import Transient
from steadyline.kafka.loop.dlq_limit import DEAD_LETTER_STORM
from steadyline.service import ServiceTasks, Task
from steadyline.telemetry.health import ServiceHealth
from steadyline.telemetry.holds import Held, HoldWatch
from steadyline.telemetry.logs import get_logger

log = get_logger(__name__)

_JOIN = timedelta(seconds=5)  # well within the grace of a stop, for all tasks together


@dataclass(frozen=True, slots=True)
class BesideTask:
    """A task beside the intake; ``request_stop`` is for one that looks at a flag of its own."""

    run: Task
    request_stop: Callable[[], None] = field(default=lambda: None)


@dataclass(frozen=True, slots=True)
class AlertsService:
    """The service: it runs the intake and the tasks beside it.

    ``intake`` makes the loop, given the function that it calls on every turn. ``beside`` are named tasks that
    run on threads of their own until the loop has ended.
    """

    intake: Callable[[Callable[[], None]], IntakeLoop]
    beside: Mapping[str, BesideTask]
    health: ServiceHealth
    clock: Clock

    def run(self, stop: threading.Event) -> None:
        """Work until ``stop``; then write and commit what is in hand.

        Raises the error that ended the intake or a task beside it: a Fatal, or a bug.
        """
        holds = HoldWatch(self.health, self.clock)

        def turn() -> None:
            self.health.beat()
            self.health.set_ready("dead-letters", not loop.is_storm, DEAD_LETTER_STORM)
            holds.note("broker", _held(loop.broker_outage))
            holds.note("database", _held(loop.database_outage))

        loop = self.intake(turn)
        with ServiceTasks(stop, _JOIN) as tasks:
            for name, task in self.beside.items():
                self.health.beat(name)
                tasks.start(name, task.run, request_stop=task.request_stop)
            self.health.set_ready("start", True)
            log.info("alerts_started")
            loop.run(stop)
        log.info("alerts_stopped")


def _held(outage: Transient | None) -> Held | None:
    return None if outage is None else Held(outage.reason, str(outage))
