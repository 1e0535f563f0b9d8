"""Capture from a source, check or encode, and put into the buffer; no camera input can end this loop."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from producers import metrics
from producers.accounting.ledger import Ledger
from producers.delivery.buffer import Buffer
from producers.encoding import Encoding, encoded_picture
from producers.sources.source import CameraLost, Capture, FrameSource
from steadyline.backoff import Backoff
from steadyline.clock import Clock
from steadyline.contracts.frame import Frame, FrameId
from steadyline.errors import PoisonMessage
from steadyline.picture import PictureLimits
from steadyline.telemetry.logs import get_logger
from steadyline.telemetry.tracing import span

Watch = Callable[[Capture], None]

log = get_logger(__name__)


def _nobody(_capture: Capture) -> None:
    """Ignore the capture."""


@dataclass(frozen=True, slots=True)
class CaptureRules:
    """How one camera's frames are captured: limits, encoding, the most frames, and who watches them."""

    line: str
    camera: str
    product: str
    encoding: Encoding
    limits: PictureLimits
    max_message: int
    most: int | None = None
    watch: Watch = _nobody


class Capturer:
    """Captures in a thread of its own; others read its state from ``lost`` and ``ended``."""

    def __init__(
        self, rules: CaptureRules, source: FrameSource, ledger: Ledger, buffer: Buffer, clock: Clock
    ) -> None:
        self._rules = rules
        self._source = source
        self._ledger = ledger
        self._buffer = buffer
        self._clock = clock
        self._in_hand: FrameId | None = None
        self._told: set[str] = set()
        self.captured = 0
        self.lost: str | None = "starting"
        self.ended: str | None = None

    def run(self, stop: threading.Event, backoff: Backoff) -> None:
        """Capture until the source is exhausted, the limit is reached or ``stop`` is set."""
        while not self.ended:
            try:
                self._capture(stop, backoff)
            except CameraLost as error:
                self._lose(error.why, str(error))
            except Exception:  # a camera's outermost loop, because one camera's fault must not end the others
                log.exception("camera_failed", camera=self._rules.camera)
                self._lose("internal_error", "see the stack above")
            else:
                return
            if self._clock.wait(stop, backoff.next()):
                self.ended = "stopped"

    def _capture(self, stop: threading.Event, backoff: Backoff) -> None:
        for capture in self._source.captures(stop):
            if self.lost is not None:
                log.info("camera_up", camera=self._rules.camera, after=self.lost)
                self.lost = None
            backoff.reset()
            self._take(capture, stop)
            if self._rules.most is not None and self.captured >= self._rules.most:
                self.ended = "limit"
                return
        self.ended = "stopped" if stop.is_set() else "end_of_source"

    def _take(self, capture: Capture, stop: threading.Event) -> None:
        rules = self._rules
        with span("capture", attributes={"camera": rules.camera}, kind="producer") as current:
            self._in_hand = frame_id = self._ledger.capture(capture.captured_at)
            self.captured += 1
            current.set(frame=str(frame_id))
            try:
                picture = encoded_picture(capture, rules.encoding, rules.limits, rules.max_message)
            except PoisonMessage as error:
                file = {} if capture.file is None else {"file": capture.file}
                told = {"frame": str(frame_id), "reason": error.reason, "error": str(error), **file}
                log.warning("frame_dropped", **told)
                current.fail(error.reason)
                self._drop_in_hand(error.reason)
                return
            traceparent = current.traceparent
        self._tell(picture.assumed)
        frame = Frame(
            frame_id,
            rules.line,
            rules.product,
            capture.captured_at,
            picture.content_type,
            picture.data,
            traceparent,
            capture.part,
        )
        self._buffer.put(frame, stop)
        self._in_hand = None
        rules.watch(capture)

    def _tell(self, assumed: tuple[str, ...]) -> None:
        """Say once what is taken for granted about this camera's pictures."""
        for sentence in assumed:
            if sentence not in self._told:
                self._told.add(sentence)
                log.warning("picture_assumed", camera=self._rules.camera, assumed=sentence)

    def _lose(self, why: str, detail: str) -> None:
        self._drop_in_hand("internal_error")
        log.warning("camera_lost", camera=self._rules.camera, reason=why, detail=detail)
        metrics.RECONNECTS.add(camera=self._rules.camera, reason=why)
        self.lost = why

    def _drop_in_hand(self, reason: str) -> None:
        if self._in_hand is not None:
            self._ledger.drop(self._in_hand, reason)
            self._in_hand = None
