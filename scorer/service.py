"""The scorer process: the loop on its own thread of control, the keeper and the lag meter beside it."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from scorer.handler import ScoringHandler
from steadyline.kafka.loop import StreamLoop
from steadyline.telemetry.health import ServiceHealth
from steadyline.telemetry.logs import get_logger

log = get_logger(__name__)

Runnable = Callable[[threading.Event], None]


@dataclass(frozen=True, slots=True)
class Scorer:
    """``loop`` makes the loop, given what it calls on every turn.

    ``beside`` are named tasks that run on threads of their own until the loop has ended.
    """

    loop: Callable[[Callable[[], None]], StreamLoop]
    handler: ScoringHandler
    beside: Mapping[str, Runnable]
    health: ServiceHealth

    def run(self, stop: threading.Event) -> None:
        """Score until ``stop``; then finish what is in hand and commit it.

        Raises what ended the loop or a task beside it: Fatal, or a bug.
        """
        ended = threading.Event()
        failed: list[BaseException] = []

        def turn() -> None:
            if failed:
                raise failed[0]
            self.health.beat()
            self.handler.tick()

        def run_task(task: Runnable) -> None:
            try:
                task(ended)
            except BaseException as error:
                failed.append(error)

        threads = [
            threading.Thread(target=run_task, args=(task,), name=name, daemon=True)
            for name, task in self.beside.items()
        ]
        loop = self.loop(turn)
        for thread in threads:
            thread.start()
        self.health.set_ready("start", True)
        log.info("scorer_started")
        try:
            loop.run(stop)
        finally:
            ended.set()
            for thread in threads:
                thread.join(timeout=5)
        log.info("scorer_stopped")
