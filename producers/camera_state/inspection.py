"""Runs the quality checks beside the capture: rarely, small, and never more than a share of a core."""

import numpy as np
from numpy.typing import NDArray

from producers import metrics
from producers.camera_state.quality import QualityJudge, QualityLimits, look
from producers.sources.source import Capture, Encoded
from steadyline.clock import Clock
from steadyline.contracts.camera_status import CameraState
from steadyline.errors import PoisonMessage
from steadyline.picture import PictureLimits, decode_small, inspect, thin

_SIDE = 200  # pixels of the shorter side: enough for sharpness, 5 ms for a 5-megapixel JPEG
_SHARE = 0.02  # of one core at most: a check that took 20 ms is followed by a second without


class Inspection:
    """Called by one capturing thread with every capture; looks at one now and then."""

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
        """What the picture lacks; None when it is good, or nobody has looked yet."""
        return None if self._forgetful else self._judge.state

    def forget(self) -> None:
        """The camera was away: what it last showed says nothing any more; its usual sharpness is kept."""
        self._forgetful = True

    def watch(self, capture: Capture) -> None:
        """Look at ``capture`` when it is time; one that cannot be decoded says nothing of the camera."""
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
