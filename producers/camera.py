"""One camera: a capturing thread, a sending thread, and the status of both."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from producers import metrics
from producers.accounting.ledger import EpochLedger, Ledger
from producers.camera_state.inspection import Inspection
from producers.camera_state.state import Condition, Rate, judge
from producers.capturer import Capturer
from producers.delivery.buffer import Buffer
from producers.delivery.connection import LazyPublisher
from producers.delivery.recovery import Recovery
from producers.delivery.sender import Sender
from producers.delivery.status_publisher import StatusPublisher
from steadyline.backoff import Backoff
from steadyline.clock import Clock
from steadyline.errors import BrokerUnavailable
from steadyline.service import ServiceTasks
from steadyline.telemetry.logs import get_logger

_AWAY = timedelta(seconds=1)
_BLOCKED_SECONDS = 2.0  # a camera that was blocked this recently still counts as blocked: no flapping

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class CameraParts:
    """The parts that make up a camera."""

    id: str
    ledger: Ledger
    buffer: Buffer
    capturer: Capturer
    sender: Sender
    publisher: LazyPublisher
    status_publisher: StatusPublisher
    rate: Rate
    backoff: Backoff
    inspection: Inspection
    recovery: Recovery


class Camera:
    """Runs one camera: call ``start`` once, ``tick`` regularly, and ``close`` once."""

    def __init__(self, parts: CameraParts, status_every: timedelta, clock: Clock) -> None:
        self._parts = parts
        self._every = status_every.total_seconds()
        self._clock = clock
        self._condition: Condition | None = None
        self._due = 0.0
        self._blocked_until = 0.0
        self._recovered = False

    @property
    def id(self) -> str:
        """The name of the camera."""
        return self._parts.id

    @property
    def is_finished(self) -> bool:
        """True when nothing more will be captured and every account is closed and acknowledged."""
        ended = self._parts.capturer.ended is not None and self._recovered
        return ended and self._parts.ledger.current is None and not self._parts.ledger.open_epochs

    def start(self, stop: threading.Event, tasks: ServiceTasks) -> None:
        """Open the account, capture until ``stop`` is set, and send until ``tasks`` are told to end."""
        parts = self._parts
        parts.ledger.open(self._clock.now())
        tasks.start(f"{self.id}-capture", lambda _: parts.capturer.run(stop, parts.backoff), may_return=True)
        tasks.start(f"{self.id}-send", lambda ended: self._send(ended, tasks))

    def tick(self) -> None:
        """Determine the camera's state; save and announce its accounts when they changed or are due."""
        parts, now = self._parts, self._clock.monotonic()
        if parts.capturer.ended is not None and parts.ledger.current is not None:
            log.info("camera_ended", camera=self.id, reason=parts.capturer.ended)
            parts.ledger.close(parts.capturer.ended)
        condition = self._judge(now)
        settled = [epoch for epoch in parts.ledger.open_epochs if epoch.is_settled]
        changed = condition != self._condition
        if not changed and now < self._due and not settled:
            return
        if changed:
            self._enter(condition)
        self._due = now + self._every if changed or now >= self._due else self._due
        for epoch in parts.ledger.open_epochs:
            self._announce(epoch, condition)
        metrics.BUFFER_BYTES.set(parts.buffer.size_bytes, camera=self.id)
        metrics.PENDING.set(sum(epoch.account.pending for epoch in parts.ledger.open_epochs), camera=self.id)
        metrics.UP.set(int(condition.state == "up"), camera=self.id)

    def close(self) -> None:
        """Save the accounts, once the tasks have ended; what is not acknowledged stays for the next run."""
        self._parts.buffer.close("stopped")
        for epoch in self._parts.ledger.open_epochs:
            epoch.save(self._clock.now(), self._parts.publisher.clock_error())
            log.warning("account_left_open", camera=self.id, epoch=epoch.epoch, pending=epoch.account.pending)

    def _judge(self, now: float) -> Condition:
        capturer = self._parts.capturer
        if capturer.ended is not None:
            return Condition("ended", capturer.ended)
        if capturer.lost is not None:
            self._parts.rate.restart()
            self._parts.inspection.forget()
        slow = self._parts.rate.is_slow(now, capturer.captured)
        if self._parts.buffer.is_blocked:
            self._blocked_until = now + _BLOCKED_SECONDS
        return judge(capturer.lost, self._parts.inspection.state, now < self._blocked_until, slow)

    def _enter(self, condition: Condition) -> None:
        if self._condition is not None:
            log.info("camera_state", camera=self.id, state=condition.state, reason=condition.reason)
        self._condition = condition
        self._parts.ledger.enter(condition.reason)

    def _announce(self, epoch: EpochLedger, condition: Condition) -> None:
        now = self._clock.now()
        epoch.save(now, self._parts.publisher.clock_error())
        if epoch.is_settled:
            final = epoch.status("ended", epoch.closing or "stopped", now)
            self._parts.status_publisher.announce(final, lambda: self._parts.ledger.forget(epoch))
        elif epoch is self._parts.ledger.current:
            self._parts.status_publisher.announce(
                epoch.status(condition.state, condition.reason, now), _nothing
            )
        else:
            self._parts.status_publisher.announce(epoch.status("down", "draining", now), _nothing)

    def _send(self, ended: threading.Event, tasks: ServiceTasks) -> None:
        self._wait_for(self._parts.publisher.check, ended)
        if self._parts.recovery.has_frames_to_send:
            self._recover(ended)
        else:
            tasks.start(f"{self.id}-recover", self._recover, may_return=True)
        while not ended.is_set():
            self._parts.sender.turn(ended)

    def _recover(self, ended: threading.Event) -> None:
        self._recovered = self._wait_for(lambda: self._parts.recovery.run(self._parts.publisher), ended)

    def _wait_for(self, act: Callable[[], None], ended: threading.Event) -> bool:
        """Try until the broker answers; False when the camera was told to end before."""
        while not ended.is_set():
            try:
                act()
                return True
            except BrokerUnavailable as error:
                log.warning("broker_unavailable", camera=self.id, error=str(error))
                self._clock.wait(ended, _AWAY)
        return False


def _nothing() -> None:
    pass
