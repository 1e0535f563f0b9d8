"""Combine capture, quality and rate into one state of a camera. No I/O."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from steadyline.contracts.camera_status import CameraState

_SLOW_SHARE = 0.5  # a camera becomes slow below this share of its rate
_FAST_SHARE = 0.7  # it stays slow until it is above this share
_RATE_SECONDS = 5.0  # shortest time over which a rate is measured
_RATE_FRAMES = 5  # fewest frames that should come within that time

QUALITY_REASONS: dict[CameraState, str] = {
    "frozen": "identical_pictures",
    "dark": "too_dark",
    "bright": "too_bright",
    "blurred": "lost_sharpness",
}


@dataclass(frozen=True, slots=True)
class Condition:
    """A state and the word for its reason."""

    state: CameraState
    reason: str


def judge(lost: str | None, quality: CameraState | None, blocked: bool, slow: bool) -> Condition:
    """Return the camera's condition. A lost camera counts most, then a bad picture, then a slow rate."""
    if lost is not None:
        return Condition("down", lost)
    if quality is not None:
        return Condition(quality, QUALITY_REASONS[quality])
    if blocked:
        return Condition("slow", "backpressure")
    if slow:
        return Condition("slow", "below_rate")
    return Condition("up", "capturing")


class Rate:
    """Compares the captured frames with ``expected`` frames per second."""

    def __init__(self, expected: Callable[[], float | None]) -> None:
        """``expected`` is asked each time, because a stream tells its own rate once it is open."""
        self._expected = expected
        self._marks: deque[tuple[float, int]] = deque()
        self._slow = False

    def restart(self) -> None:
        """Forget the past, because the camera was away."""
        self._marks.clear()
        self._slow = False

    def is_slow(self, now: float, captured: int) -> bool:
        """Tell whether too few frames came lately; ``now`` is monotonic, ``captured`` is a running count."""
        expected = self._expected()
        if not expected:
            return False
        window = max(_RATE_SECONDS, _RATE_FRAMES / expected)
        self._marks.append((now, captured))
        while len(self._marks) > 1 and self._marks[1][0] <= now - window:
            self._marks.popleft()
        since, before = self._marks[0]
        elapsed = now - since
        if elapsed >= window:
            share = (captured - before) / (expected * elapsed)
            self._slow = share < (_FAST_SHARE if self._slow else _SLOW_SHARE)
        return self._slow
