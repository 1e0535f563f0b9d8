"""Conformal thresholds: how high a score must be so that normals alarm no more often than wanted.

Split conformal prediction (Vovk et al., "Algorithmic Learning in a Random World", 2005): with n held-out
normal scores that are exchangeable with a new one, the ceil((n+1)(1-alpha))-th smallest of them is passed
by a new normal with probability at most alpha.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from steadyline.contracts.model_event import PRODUCT_WIDE, Calibration
from steadyline.errors import InvalidConfiguration

MOST_SCORES = 2000  # the contract's limit of one calibration


@dataclass(frozen=True, slots=True)
class Calibrated:
    """The calibrations of each camera and of the whole product, and notes for a person about them."""

    calibrations: dict[str, Calibration]
    notes: tuple[str, ...]


def fewest_scores(rate: float) -> int:
    """Return how many held-out normals a threshold for ``rate`` needs: n with ceil((n+1)(1-rate)) <= n."""
    return math.ceil(1 / rate - 1 - 1e-9)


def calibration(scores: Sequence[float], rate: float) -> Calibration:
    """Return the threshold that a normal exceeds with probability at most ``rate``.

    ``scores`` are held-out normal scores in any order.

    With too few scores the threshold is the largest of them, and ``achieved_rate`` is the bound that this
    threshold keeps, 1/(n+1). A verdict is anomalous when the score is *greater* than the threshold.
    """
    ordered = _thinned(sorted(_rounded(score) for score in scores))
    n = len(ordered)
    if n == 0:
        raise InvalidConfiguration("no held-out normal is left to calibrate the threshold with")
    rank = min(n, math.ceil((n + 1) * (1 - rate) - 1e-9))
    return Calibration(
        scores=ordered, threshold=ordered[rank - 1], achieved_rate=max(rate, (n + 1 - rank) / (n + 1))
    )


def calibrate(scores: Mapping[str, Sequence[float]], rate: float) -> Calibrated:
    """Return the calibration of the product (from all scores) and of each camera that has enough scores.

    ``scores`` maps a camera, or "" for normals of no camera (the first folder), to held-out normal scores.
    A camera with too few of its own is judged by the product's threshold, and a note says so.
    """
    everything = [score for values in scores.values() for score in values]
    found = {PRODUCT_WIDE: calibration(everything, rate)}
    needed = fewest_scores(rate)
    notes = []
    if len(everything) < needed:
        notes.append(
            f"{len(everything)} held-out normals are too few for a false-alarm rate of {rate:g} "
            f"({needed} needed): the threshold bounds {found[PRODUCT_WIDE].achieved_rate:.3f}"
        )
    for camera, values in sorted(scores.items()):
        if camera and len(values) >= needed:
            found[camera] = calibration(values, rate)
        elif camera:
            notes.append(
                f"camera {camera} has {len(values)} held-out normals of {needed} needed: "
                "the product's threshold is used"
            )
    return Calibrated(found, tuple(notes))


def _thinned(ordered: list[float]) -> list[float]:
    """Keep at most MOST_SCORES scores, spread evenly over the ranks, so that the quantiles hardly change."""
    n = len(ordered)
    if n <= MOST_SCORES:
        return ordered
    return [ordered[min(n - 1, round((i + 0.5) * n / MOST_SCORES - 0.5))] for i in range(MOST_SCORES)]


def _rounded(score: float) -> float:
    return float(f"{score:.7g}")  # float32 carries no more digits, and the event stays small
