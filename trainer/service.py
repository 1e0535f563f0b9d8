"""The serving loop: one thread reads topics and renews leases, one thread a product does its work."""

import threading
from collections.abc import Sequence
from datetime import timedelta
from functools import partial

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
BACK_OFF = (0.5, 1.0, 2.0, 4.0, 8.0)  # seconds after the first, second … failure in a row


class Trainer:
    """The service. ``run`` returns when ``stop`` is set and raises what a desk cannot survive."""

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
        """Serve until ``stop``; children are stopped, leases given back."""
        self._renew()
        try:
            with ServiceTasks(stop) as tasks:
                for controller in self._controllers:
                    tasks.start(f"desk-{controller.product}", partial(self._work, controller))
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
        """The outermost loop of one product: what is transient waits, anything else ends the service."""
        failures = 0
        try:
            while not ended.is_set():
                try:
                    controller.turn()
                    failures = 0
                    self._clock.wait(ended, TURN)
                except Transient as error:
                    failures += 1
                    self._held_back(controller, error, failures, ended)
        finally:
            controller.stand_by()

    def _held_back(
        self, controller: ProductController, error: Transient, failures: int, ended: threading.Event
    ) -> None:
        pause = BACK_OFF[min(failures, len(BACK_OFF)) - 1]
        metrics.TRANSIENT_ERRORS.add(product=controller.product, reason=error.reason)
        log.warning(
            "held_back", product=controller.product, reason=error.reason, error=str(error), pause=pause
        )
        self._clock.wait(ended, timedelta(seconds=pause))
