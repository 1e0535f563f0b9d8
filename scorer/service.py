"""The scorer process: the loop runs on the main thread, the model updater and the lag meter run beside it."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from scorer.handler import ScoringHandler
from steadyline.clock import Clock
from steadyline.kafka.loop.dlq_limit import DEAD_LETTER_STORM
from steadyline.kafka.loop.stream_loop import StreamLoop
from steadyline.service import ServiceTasks, Task
from steadyline.telemetry.health import ServiceHealth
from steadyline.telemetry.holds import Held, HoldWatch
from steadyline.telemetry.logs import get_logger

log = get_logger(__name__)

_JOIN = timedelta(seconds=2)  # well within the grace of a stop, for both tasks together


@dataclass(frozen=True, slots=True)
class Scorer:
    """The service: it runs the loop and the tasks beside it.

    ``loop`` makes the loop, given the function that it calls on every turn. ``beside`` are named tasks that
    run on threads of their own until the loop has ended.
    """

    loop: Callable[[Callable[[], None]], StreamLoop]
    handler: ScoringHandler
    beside: Mapping[str, Task]
    health: ServiceHealth
    clock: Clock

    def run(self, stop: threading.Event) -> None:
        """Score until ``stop``; then finish the frames in hand and commit them.

        Raises the error that ended the loop or a task beside it: a Fatal, or a bug. When a task has ended,
        the loop still finishes its frames.
        """

        holds = HoldWatch(self.health, self.clock)

        def turn() -> None:
            self.health.beat()
            self.handler.tick()
            for part, held in self.handler.held():
                holds.note(part, held)
                if held is not None:
                    loop.excuse()
            self.health.set_ready("dead-letters", not loop.is_storm, DEAD_LETTER_STORM)
            holds.note("broker", Held(loop.outage.reason, str(loop.outage)) if loop.outage else None)

        loop = self.loop(turn)
        with ServiceTasks(stop, _JOIN) as tasks:
            for name, task in self.beside.items():
                self.health.beat(name)
                tasks.start(name, task)
            self.health.set_ready("start", True)
            log.info("scorer_started")
            loop.run(stop)
        log.info("scorer_stopped")
