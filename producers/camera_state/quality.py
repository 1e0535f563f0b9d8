"""Tell whether a camera is frozen, dark, bright or blurred, from small gray pictures. No I/O."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
from numpy.typing import NDArray

from steadyline.contracts.camera_status import CameraState

_HISTORY = 300  # checks that define a camera's usual sharpness: five minutes at one per second
_ENOUGH = 20  # checks before the usual sharpness is known
_RELEARN = 600  # blurred checks in a row after which the scene has changed and sharpness is learned again


@dataclass(frozen=True, slots=True)
class QualityLimits:
    """Gray values are 0..255; ``blurred_below`` is a share of the usual sharpness; ``checks`` must agree."""

    dark_below: float
    bright_above: float
    frozen_below: float
    blurred_below: float
    checks: int


@dataclass(frozen=True, slots=True)
class QualityFigures:
    """Figures of one small picture: mean, sharpness, and mean difference to the picture before."""

    mean: float
    sharpness: float
    change: float | None


def look(pixels: NDArray[np.uint8], before: NDArray[np.uint8] | None) -> QualityFigures:
    """Measure gray pixels (H, W); a picture before of another shape is ignored."""
    same_shape = before is not None and before.shape == pixels.shape
    change = None
    if before is not None and same_shape:
        change = float(np.abs(pixels.astype(np.int16) - before).mean())
    return QualityFigures(float(pixels.mean()), sharpness(pixels), change)


def sharpness(pixels: NDArray[np.uint8]) -> float:
    """Return the variance of the Laplacian (Pech-Pacheco et al., ICPR 2000), or 0 below 3 x 3 pixels."""
    if min(pixels.shape) < 3:
        return 0.0
    p = pixels.astype(np.int16)
    laplacian = p[:-2, 1:-1] + p[2:, 1:-1] + p[1:-1, :-2] + p[1:-1, 2:] - 4 * p[1:-1, 1:-1]
    return float(laplacian.var())


class QualityJudge:
    """Turns figures into a state, which changes only when ``checks`` pictures in a row agree."""

    def __init__(self, limits: QualityLimits) -> None:
        self._limits = limits
        self._history: deque[float] = deque(maxlen=_HISTORY)
        self._recent: deque[CameraState | None] = deque(maxlen=limits.checks)
        self._blurred_checks = 0
        self.state: CameraState | None = None

    def add(self, seen: QualityFigures) -> CameraState | None:
        """Add the figures of one more picture; return the state, which is None for a good picture."""
        verdict = self._verdict(seen)
        self._learn(seen, verdict)
        self._recent.append(verdict)
        if len(self._recent) == self._limits.checks and _all_same(self._recent):
            self.state = verdict
        return self.state

    def restart(self) -> None:
        """Discard the recent pictures, but keep the usual sharpness."""
        self._recent.clear()
        self.state = None

    def _verdict(self, seen: QualityFigures) -> CameraState | None:
        limits = self._limits
        if seen.change is not None and seen.change < limits.frozen_below:
            return "frozen"
        if seen.mean < limits.dark_below:
            return "dark"
        if seen.mean > limits.bright_above:
            return "bright"
        known = len(self._history) >= _ENOUGH
        if known and seen.sharpness < limits.blurred_below * median(self._history):
            return "blurred"
        return None

    def _learn(self, seen: QualityFigures, verdict: CameraState | None) -> None:
        self._blurred_checks = self._blurred_checks + 1 if verdict == "blurred" else 0
        if self._blurred_checks >= _RELEARN:
            self._history.clear()
        if verdict is None:
            self._history.append(seen.sharpness)


def _all_same(states: Sequence[CameraState | None] | deque[CameraState | None]) -> bool:
    return all(state == states[0] for state in states)
