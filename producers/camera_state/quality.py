"""Whether a camera still sees: frozen, dark, bright or blurred, judged on small gray pictures. No I/O."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
from numpy.typing import NDArray

from steadyline.contracts.camera_status import CameraState

_HISTORY = 300  # checks that make a camera's usual sharpness: five minutes at one a second
_ENOUGH = 20  # below this the usual sharpness is not known yet
_RELEARN = 600  # blurred for so long: the scene has changed, so its sharpness is learned anew


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
    """What one small picture says: its mean, its sharpness, its mean difference to the one before."""

    mean: float
    sharpness: float
    change: float | None


def look(pixels: NDArray[np.uint8], before: NDArray[np.uint8] | None) -> QualityFigures:
    """Measure (H, W) gray pixels; ``before`` of another shape counts as no picture before."""
    same_shape = before is not None and before.shape == pixels.shape
    change = None
    if before is not None and same_shape:
        change = float(np.abs(pixels.astype(np.int16) - before).mean())
    return QualityFigures(float(pixels.mean()), sharpness(pixels), change)


def sharpness(pixels: NDArray[np.uint8]) -> float:
    """Return the variance of the Laplacian (Pech-Pacheco et al., ICPR 2000); 0 below 3 x 3 pixels."""
    if min(pixels.shape) < 3:
        return 0.0
    p = pixels.astype(np.int16)
    laplacian = p[:-2, 1:-1] + p[2:, 1:-1] + p[1:-1, :-2] + p[1:-1, 2:] - 4 * p[1:-1, 1:-1]
    return float(laplacian.var())


class QualityJudge:
    """Turns looks into a state. A state changes only when ``checks`` looks in a row agree."""

    def __init__(self, limits: QualityLimits) -> None:
        self._limits = limits
        self._history: deque[float] = deque(maxlen=_HISTORY)
        self._recent: deque[CameraState | None] = deque(maxlen=limits.checks)
        self._blurred_checks = 0
        self.state: CameraState | None = None

    def add(self, seen: QualityFigures) -> CameraState | None:
        """Take in one more look; returns the state, None for a good picture."""
        verdict = self._verdict(seen)
        self._learn(seen, verdict)
        self._recent.append(verdict)
        if len(self._recent) == self._limits.checks and _all_same(self._recent):
            self.state = verdict
        return self.state

    def restart(self) -> None:
        """Forget the looks so far, but not the usual sharpness."""
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
