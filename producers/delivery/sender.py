"""Send one camera's frames to the broker in order, with bounds, and establish the fate of every frame."""

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

from producers import metrics
from producers.accounting.ledger import Ledger
from producers.delivery.buffer import Buffer
from producers.delivery.connection import LazyPublisher
from producers.delivery.published import Period, published_sequences
from steadyline.clock import Clock
from steadyline.contracts.frame import Frame, FrameId
from steadyline.errors import Backpressure, BrokerUnavailable, ClockRefused, NotAllowed, PoisonMessage
from steadyline.kafka.broker import Message
from steadyline.telemetry.logs import get_logger

_AT_ONCE = timedelta(0)
_IDLE = timedelta(milliseconds=100)
_FULL = timedelta(milliseconds=5)  # a 60 KB frame takes 0.3 ms on loopback, so room comes within this
_AWAY = timedelta(milliseconds=500)
_CALM = timedelta(seconds=1)
_MOST_ATTEMPTS = 5  # for a frame that the broker refuses although it answers
# No fault of the frame: it is held until the clock is right, or the right is back.
_HELD = (ClockRefused, NotAllowed)

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Window:
    """Most frames and bytes of one camera that are handed to the publisher and not yet acknowledged."""

    frames: int
    bytes: int


@dataclass(frozen=True, slots=True)
class InFlight:
    """A frame that the publisher has; the times are in monotonic seconds."""

    frame: Frame
    sent_at: float
    first_sent_at: float
    attempts: int
    error: Exception | None = None


class Sender:
    """Takes frames from the buffers, the first buffer before the second, and publishes them.

    A frame whose delivery failed may be on the topic nevertheless. So nothing more is sent until the fate of
    all others in flight is known; then the topic itself is read. A frame that is there counts as published.
    One that is not there is sent again, unless a later frame was delivered (order comes first) or it failed
    too often; then it is dropped.
    """

    def __init__(
        self, topic: str, buffers: Sequence[Buffer], ledger: Ledger, publisher: LazyPublisher, clock: Clock
    ) -> None:
        self._topic = topic
        self._buffers = buffers
        self._ledger = ledger
        self._publisher = publisher
        self._clock = clock
        self._window = Window(64, 8 << 20)
        self._lock = threading.Lock()
        self._in_flight: dict[FrameId, InFlight] = {}
        self._doubtful: dict[FrameId, InFlight] = {}
        self._before: dict[FrameId, InFlight] = {}  # frames whose delivery failed before
        self._again: deque[Frame] = deque()  # sent before anything from the buffers

    def limit(self, window: Window) -> None:
        """Set the bounds on what is in flight."""
        self._window = window

    def turn(self, stop: threading.Event) -> bool:
        """Do one thing: settle doubtful frames or send one frame. Return False when there was nothing to do.

        ``stop`` cuts waits short. Raises Fatal.
        """
        if self._doubtful:
            self._settle_doubtful(stop)
            return True
        frame = self._next()
        if frame is None:
            return False
        if self._is_full(frame):
            self._hold(frame, stop, _FULL)
            return True
        try:
            self._send(frame)
        except Backpressure:
            self._hold(frame, stop, _FULL)
        except BrokerUnavailable as error:
            log.debug("broker_unavailable", camera=frame.id.camera, error=str(error))
            self._hold(frame, stop, _AWAY)
        except PoisonMessage as error:
            log.warning("frame_refused", frame=str(frame.id), error=str(error))
            self._drop(frame.id, error.reason)
        return True

    def _next(self) -> Frame | None:
        if self._again:
            return self._again.popleft()
        for buffer in self._buffers[:-1]:
            if (frame := buffer.take(_AT_ONCE)) is not None:
                return frame
        return self._buffers[-1].take(_IDLE)

    def _hold(self, frame: Frame, stop: threading.Event, wait: timedelta) -> None:
        self._again.appendleft(frame)
        self._clock.wait(stop, wait)

    def _is_full(self, frame: Frame) -> bool:
        with self._lock:
            waiting = [entry.frame for entry in self._in_flight.values()]
        size = sum(len(other.picture) for other in waiting) + len(frame.picture)
        return bool(waiting) and (len(waiting) >= self._window.frames or size > self._window.bytes)

    def _send(self, frame: Frame) -> None:
        with self._lock:
            self._in_flight[frame.id] = self._next_attempt(frame)
        headers = (*frame.headers(), *self._ledger.proof(frame.id))
        message = Message(self._topic, frame.key, frame.picture, headers)
        try:
            self._publisher.publish(message, partial(self._done, frame.id))
        except (Backpressure, BrokerUnavailable, PoisonMessage):
            with self._lock:
                del self._in_flight[frame.id]
            raise

    def _next_attempt(self, frame: Frame) -> InFlight:
        now, before = self._clock.monotonic(), self._before.get(frame.id)
        if before is None:
            return InFlight(frame, now, now, 1)
        attempts = before.attempts + (not isinstance(before.error, _HELD))
        return InFlight(frame, now, before.first_sent_at, attempts)

    def _done(self, frame: FrameId, error: Exception | None) -> None:
        """Record the outcome of a delivery; the publisher's thread calls this."""
        with self._lock:
            entry = self._in_flight.pop(frame)
            if error is not None:
                self._doubtful[frame] = replace(entry, error=error)
                return
        self._published(entry)

    def _published(self, entry: InFlight) -> None:
        frame = entry.frame
        self._ledger.publish(frame.id)
        self._settle(frame.id)
        metrics.PUBLISHED_BYTES.add(len(frame.picture), camera=frame.id.camera)
        metrics.PUBLISH_SECONDS.record(self._clock.monotonic() - entry.sent_at)

    def _settle_doubtful(self, stop: threading.Event) -> None:
        with self._lock:
            if self._in_flight:
                doubtful = []
            else:
                doubtful = sorted(self._doubtful.values(), key=lambda entry: _order(entry.frame))
        if not doubtful:
            self._clock.wait(stop, _FULL)
            return
        try:
            self._look(doubtful)  # the broker answers again, and now handles what was still in its queues
            self._clock.wait(stop, _CALM)
            found = self._look(doubtful)
        except (BrokerUnavailable, NotAllowed) as error:
            log.debug("broker_unavailable", error=str(error))
            self._clock.wait(stop, _AWAY)
            return
        again = [entry for entry in doubtful if not self._decide(entry, found)]
        self._before = {entry.frame.id: entry for entry in again}
        self._again.extendleft(entry.frame for entry in reversed(again))
        with self._lock:
            self._doubtful.clear()

    def _look(self, doubtful: list[InFlight]) -> dict[int, set[int]]:
        period = Period(self._publisher.topic_time(min(entry.first_sent_at for entry in doubtful)))
        camera = doubtful[0].frame.id.camera
        reader = self._publisher.reader()
        try:
            own = {camera: self._ledger.is_own}
            return published_sequences(reader, self._topic, own, period).get(camera, {})
        finally:
            reader.close()

    def _decide(self, entry: InFlight, found: dict[int, set[int]]) -> bool:
        """Settle one frame from what is on the topic; return False when it must be sent again."""
        frame = entry.frame.id
        later = max(found.get(frame.epoch, ()), default=0) > frame.sequence
        log.warning("delivery_failed", frame=str(frame), error=str(entry.error))
        if frame.sequence in found.get(frame.epoch, ()):
            self._published(entry)
        elif isinstance(entry.error, PoisonMessage):
            self._drop(frame, entry.error.reason)
        elif later or (entry.attempts >= _MOST_ATTEMPTS and not isinstance(entry.error, _HELD)):
            self._drop(frame, "delivery_failed")
        else:
            return False
        return True

    def _drop(self, frame: FrameId, reason: str) -> None:
        self._ledger.drop(frame, reason)
        self._settle(frame)

    def _settle(self, frame: FrameId) -> None:
        for buffer in self._buffers:
            buffer.settle(frame)


def _order(frame: Frame) -> tuple[int, int]:
    return frame.id.epoch, frame.id.sequence
