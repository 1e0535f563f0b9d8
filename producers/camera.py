"""One camera: a capturing thread, a sending thread, and the status that tells of both."""

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
from steadyline.telemetry.logs import get_logger

_AWAY = timedelta(seconds=1)
_BLOCKED_SECONDS = 2.0  # a camera that was held up a moment ago still is: no flapping

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class CameraParts:
    """What a camera is made of."""

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
    """Started once, told the time by ``tick``, closed once."""

    def __init__(self, parts: CameraParts, status_every: timedelta, clock: Clock) -> None:
        self._parts = parts
        self._every = status_every.total_seconds()
        self._clock = clock
        self._closed = threading.Event()
        self._threads: list[threading.Thread] = []
        self._condition: Condition | None = None
        self._due = 0.0
        self._blocked_until = 0.0
        self._recovered = False
        self.failure: BaseException | None = None

    @property
    def id(self) -> str:
        """The camera's name."""
        return self._parts.id

    @property
    def is_finished(self) -> bool:
        """True when nothing more will be captured and every account is closed and acknowledged."""
        ended = self._parts.capturer.ended is not None and self._recovered
        return ended and self._parts.ledger.current is None and not self._parts.ledger.open_epochs

    def start(self, stop: threading.Event) -> None:
        """Open the account and begin to capture and to send; ``stop`` ends the capturing."""
        self._parts.ledger.open(self._clock.now())
        self._run(lambda: self._parts.capturer.run(stop, self._parts.backoff), "capture")
        self._run(self._send, "send")

    def tick(self) -> None:
        """Judge the camera's condition; save and announce its accounts when they changed or are due."""
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

    def close(self, within: timedelta) -> None:
        """Stop sending; what the broker has not acknowledged stays in the account for the next run."""
        self._closed.set()
        for thread in self._threads:
            thread.join(within.total_seconds())
        self._parts.buffer.close("stopped")
        for epoch in self._parts.ledger.open_epochs:
            epoch.save(self._clock.now())
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
        epoch.save(now)
        if epoch.is_settled:
            final = epoch.status("ended", epoch.closing or "stopped", now)
            self._parts.status_publisher.announce(final, lambda: self._parts.ledger.forget(epoch))
        elif epoch is self._parts.ledger.current:
            self._parts.status_publisher.announce(
                epoch.status(condition.state, condition.reason, now), _nothing
            )
        else:
            self._parts.status_publisher.announce(epoch.status("down", "draining", now), _nothing)

    def _run(self, target: Callable[[], None], name: str) -> None:
        # A daemon: a camera library that hangs must not keep the process from ending.
        thread = threading.Thread(target=target, name=f"{self.id}-{name}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _send(self) -> None:
        try:
            self._wait_for(self._parts.publisher.check)
            if self._parts.recovery.has_frames_to_send:
                self._recover()
            else:
                self._run(self._recover, "recover")
            while not self._closed.is_set():
                self._parts.sender.turn(self._closed)
        except BaseException as error:  # handed to the main thread, which ends the process with it
            self.failure = error

    def _recover(self) -> None:
        try:
            self._recovered = self._wait_for(lambda: self._parts.recovery.run(self._parts.publisher))
        except BaseException as error:
            self.failure = error

    def _wait_for(self, act: Callable[[], None]) -> bool:
        """Try until the broker answers; False when closed before."""
        while not self._closed.is_set():
            try:
                act()
                return True
            except BrokerUnavailable as error:
                log.warning("broker_unavailable", camera=self.id, error=str(error))
                self._clock.wait(self._closed, _AWAY)
        return False


def _nothing() -> None:
    pass
