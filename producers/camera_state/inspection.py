"""Check picture quality beside the capture: rarely, on small pictures, within a small share of a core."""

import numpy as np
from numpy.typing import NDArray

from producers import metrics
from producers.camera_state.quality import QualityJudge, QualityLimits, look
from producers.sources.source import Capture, Encoded
from steadyline.clock import Clock
from steadyline.contracts.camera_status import CameraState
from steadyline.errors import PoisonMessage
from steadyline.picture import PictureLimits, decode_small, inspect, thin

_SIDE = 200  # pixels of the shorter side: enough for sharpness, and 5 ms for a 5-megapixel JPEG
_SHARE = 0.02  # of one core at most: after a check of 20 ms there is none for a second


class Inspection:
    """The capturing thread passes every capture to ``watch``, which checks one from time to time."""

    def __init__(self, limits: QualityLimits, pictures: PictureLimits, every: float, clock: Clock) -> None:
        self._judge = QualityJudge(limits)
        self._pictures = pictures
        self._every = every
        self._clock = clock
        self._due = 0.0
        self._forgetful = False
        self._before: NDArray[np.uint8] | None = None

    @property
    def state(self) -> CameraState | None:
        """What is wrong with the picture; None when it is good or has not been checked yet."""
        return None if self._forgetful else self._judge.state

    def forget(self) -> None:
        """Discard the recent checks, because the camera was away; its usual sharpness is kept."""
        self._forgetful = True

    def watch(self, capture: Capture) -> None:
        """Check ``capture`` when a check is due; one that cannot be decoded says nothing about the camera."""
        started = self._clock.monotonic()
        if started < self._due:
            return
        if self._forgetful:
            self._judge.restart()
            self._before, self._forgetful = None, False
        small = self._small(capture)
        if small is not None:
            self._judge.add(look(small, self._before))
            self._before = small
        took = self._clock.monotonic() - started
        metrics.QUALITY_SECONDS.record(took)
        self._due = started + max(self._every, took / _SHARE)

    def _small(self, capture: Capture) -> NDArray[np.uint8] | None:
        content = capture.content
        if isinstance(content, PoisonMessage):
            return None
        if not isinstance(content, Encoded):
            return thin(content, _SIDE)
        try:
            return decode_small(content.data, inspect(content.data, self._pictures), _SIDE)
        except PoisonMessage:
            return None
