"""The dead man's switch outward: a monitor outside hears from us while all is well, and nothing otherwise."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from alerts.deliveries.answer import receipt_of
from alerts.deliveries.failure import DeliveryFailed
from alerts.deliveries.http_client import HttpClient
from alerts.line_watch.metrics import HEARTBEAT_FAILURES, HEARTBEATS, HEARTBEATS_WITHHELD, Withheld
from alerts.line_watch.watch import LineWatch
from alerts.subscriptions.channel import check_url
from steadyline.clock import Clock
from steadyline.errors import InvalidConfiguration
from steadyline.telemetry.health import ServiceHealth
from steadyline.telemetry.logs import get_logger

log = get_logger(__name__)

_LOOK = timedelta(seconds=1)
_AGAIN = timedelta(seconds=10)  # after a heartbeat that was not taken, or not sent
_HEADERS = {"user-agent": "steadyline"}


@dataclass(frozen=True, slots=True)
class HeartbeatPlan:
    """Where a heartbeat goes, how often, and how old the last measure of the line may be then."""

    url: str
    every: timedelta
    measured_within: timedelta

    def __post_init__(self) -> None:
        """Raise InvalidConfiguration when the address is none; it is a secret, and not told."""
        try:
            check_url(self.url)
        except ValueError as error:
            raise InvalidConfiguration(f"ALERTS_HEARTBEAT_URL: {error}") from error


class OutwardHeartbeat:
    """A task beside the intake, on a thread of its own: a monitor that is slow delays no measure.

    All is well while every task of the process advances (the intake, the deliveries), nothing keeps it from
    its broker and its database, the line was measured of late and no incident of the kind ``no_scores``
    stands. Of several processes the one that measures the line sends.
    """

    def __init__(
        self, plan: HeartbeatPlan, client: HttpClient, watch: LineWatch, health: ServiceHealth, clock: Clock
    ) -> None:
        self._plan, self._client, self._clock = plan, client, clock
        self._watch, self._health = watch, health
        self._due = clock.monotonic()
        self._withheld: Withheld | None = None

    def run(self, stop: threading.Event, beat: Callable[[], None]) -> None:
        """Send until ``stop``."""
        while not stop.is_set():
            beat()
            self.turn()
            self._clock.wait(stop, _LOOK)

    def turn(self) -> None:
        """Send a heartbeat when one is due and all is well."""
        if self._clock.monotonic() < self._due or self._watch.is_others:
            return
        withheld = self.withheld()
        if withheld != self._withheld:
            self._withheld = withheld
            log.info("heartbeat_resumed") if withheld is None else log.warning(
                "heartbeat_withheld", reason=withheld
            )
        if withheld is not None:
            HEARTBEATS_WITHHELD.add(1, reason=withheld)
            self._due = self._clock.monotonic() + min(_AGAIN, self._plan.every).total_seconds()
            return
        is_taken = self._send()
        pause = self._plan.every if is_taken else min(_AGAIN, self._plan.every)
        self._due = self._clock.monotonic() + pause.total_seconds()

    def withheld(self) -> Withheld | None:
        """Return why no heartbeat may be sent now; None while all is well."""
        standing = self._watch.standing
        if not self._health.live()[0]:
            return "not_live"
        if not self._health.ready()[0]:
            return "not_ready"
        oldest = self._clock.monotonic() - self._plan.measured_within.total_seconds()
        if standing is None or standing.at < oldest:
            return "not_measured"
        return "no_scores" if "no_scores" in standing.kinds else None

    def _send(self) -> bool:
        try:
            receipt_of(self._client.get(self._plan.url, _HEADERS), self._clock.now())
        except DeliveryFailed as error:
            HEARTBEAT_FAILURES.add(1, reason=error.reason)
            log.warning("heartbeat_failed", reason=error.reason)  # its text may hold the address
            return False
        HEARTBEATS.add(1)
        return True
