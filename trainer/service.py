"""The serving loop: one thread reads topics and renews leases, and each product has a thread for its work."""

import threading
from collections.abc import Sequence
from datetime import timedelta
from functools import partial

from steadyline.backoff import Backoff
from steadyline.clock import Clock
from steadyline.errors import Transient
from steadyline.service import ServiceTasks
from steadyline.telemetry.health import ServiceHealth
from steadyline.telemetry.logs import get_logger
from trainer import metrics
from trainer.control.controller import ProductController
from trainer.control.inbox import InboxDispatcher
from trainer.lifecycle.leases import LEASE, Leases

log = get_logger(__name__)

TURN = timedelta(milliseconds=250)
RENEW_SECONDS = LEASE.total_seconds() / 3
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 8.0  # between attempts to reach what is away


class Trainer:
    """The trainer's service: ``run`` returns once ``stop`` is set, and raises what no controller survives."""

    def __init__(
        self,
        controllers: Sequence[ProductController],
        dispatcher: InboxDispatcher,
        leases: Leases,
        health: ServiceHealth,
        clock: Clock,
    ) -> None:
        self._controllers, self._dispatcher, self._leases = controllers, dispatcher, leases
        self._health, self._clock = health, clock

    def run(self, stop: threading.Event) -> None:
        """Serve until ``stop``; then stop the children and give the leases back."""
        self._renew()
        try:
            with ServiceTasks(stop) as tasks:
                for controller in self._controllers:
                    tasks.start(f"controller-{controller.product}", partial(self._work, controller))
                self._read(stop)
        finally:
            self._leases.release()

    def _read(self, stop: threading.Event) -> None:
        renewed = self._clock.monotonic()
        while not stop.is_set():
            self._health.beat()
            if self._clock.monotonic() - renewed >= RENEW_SECONDS:
                renewed = self._clock.monotonic()
                self._renew()
            outage = self._dispatcher.turn(TURN, stop)
            self._health.set_ready("kafka", outage is None, str(outage or ""))

    def _renew(self) -> None:
        self._health.set_ready("redis", self._leases.renew(), "leases cannot be renewed")

    def _work(self, controller: ProductController, ended: threading.Event) -> None:
        """Run the outermost loop of one product: it waits after a Transient error; any other ends the
        service.
        """
        backoff = Backoff.of_seconds(FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)
        try:
            while not ended.is_set():
                try:
                    controller.turn()
                    backoff.reset()
                    self._clock.wait(ended, TURN)
                except Transient as error:
                    pause = backoff.next()
                    _count_held_back(controller.product, error, pause)
                    self._clock.wait(ended, pause)
        finally:
            controller.stand_by()


def _count_held_back(product: str, error: Transient, pause: timedelta) -> None:
    metrics.TRANSIENT_ERRORS.add(product=product, reason=error.reason)
    log.warning(
        "held_back", product=product, reason=error.reason, error=str(error), pause=pause.total_seconds()
    )
