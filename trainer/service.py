"""The serving threads: one renews leases, one reads topics, and each product has one for its work.

None waits for another, and each beats for itself: a controller that hangs, a slow read or an outage of the
broker costs no product its lease, and ``/livez`` names the thread that is silent.
"""

import threading
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Protocol

from steadyline.backoff import Backoff
from steadyline.clock import Clock
from steadyline.errors import Transient
from steadyline.service import ServiceTasks
from steadyline.telemetry.health import ServiceHealth
from steadyline.telemetry.logs import get_logger
from trainer import metrics
from trainer.control.inbox import InboxDispatcher
from trainer.lifecycle.leases import LEASE, Leases

log = get_logger(__name__)

TURN = timedelta(milliseconds=250)
LOOK = timedelta(milliseconds=250)  # between two looks of the renewing thread at its clock
RENEW_SECONDS = LEASE.total_seconds() / 3
LONGEST_READ = timedelta(minutes=2)  # the first turn reads all model events, past an open transaction too
# A turn may collect a few thousand pictures from a slow store and load a version twice.
LONGEST_TURN = timedelta(minutes=10)
PATIENCE = timedelta(seconds=25)  # at the end: a child gets 20 s, and whatever hangs longer is left behind
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 8.0  # between attempts to reach what is away
UNREAD_HISTORY = "scores are being read from the first one kept; no training begins before their end"


class Controller(Protocol):
    """What the service needs of a controller: see ``ProductController``."""

    @property
    def product(self) -> str: ...

    def turn(self) -> None: ...

    def stand_by(self) -> None: ...


class Trainer:
    """The trainer's service: ``run`` returns once ``stop`` is set, and raises what no controller survives."""

    def __init__(
        self,
        controllers: Sequence[Controller],
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
            with ServiceTasks(stop, PATIENCE) as tasks:
                tasks.start("inbox", self._read)
                for controller in self._controllers:
                    tasks.start(f"controller-{controller.product}", partial(self._work, controller))
                self._keep_leases(stop)
        finally:
            self._leases.release()

    def _keep_leases(self, stop: threading.Event) -> None:
        renewed = self._clock.monotonic()
        while not self._clock.wait(stop, LOOK):
            self._health.beat()
            if self._clock.monotonic() - renewed >= RENEW_SECONDS:
                renewed = self._clock.monotonic()
                self._renew()

    def _read(self, ended: threading.Event) -> None:
        while not ended.is_set():
            self._health.beat("inbox", LONGEST_READ)
            outage = self._dispatcher.turn(TURN, ended)
            self._health.set_ready("kafka", outage is None, str(outage or ""))
            self._health.set_ready("history", self._dispatcher.has_read_history, UNREAD_HISTORY)

    def _renew(self) -> None:
        self._health.set_ready("redis", self._leases.renew(), "leases cannot be renewed")

    def _work(self, controller: Controller, ended: threading.Event) -> None:
        """Run the outermost loop of one product: it waits after a Transient error; any other ends the
        service.
        """
        backoff = Backoff.of_seconds(FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)
        try:
            while not ended.is_set():
                self._health.beat(f"controller-{controller.product}", LONGEST_TURN)
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
