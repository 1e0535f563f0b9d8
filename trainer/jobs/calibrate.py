"""Conformal thresholds: how high a score must be so that normals alarm no more often than wanted.

Split conformal prediction (Vovk et al., "Algorithmic Learning in a Random World", 2005): with n held-out
normal scores that are exchangeable with a new one, the ceil((n+1)(1-alpha))-th smallest of them is passed
by a new normal with probability at most alpha.

With fewer than 2/alpha scores the largest of them is the threshold, so that one frame that is no normal would
decide for all. Frames whose score is beyond the fence of ``trainer.data.outliers`` are therefore left out and
named. Should they have been normals after all, the threshold is still one of the n scores, only of a lower
rank, and ``achieved_rate`` is what that rank bounds.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from steadyline.contracts.model_event import PRODUCT_WIDE, Calibration, conformal_rank
from steadyline.errors import InvalidConfiguration
from trainer.data.outliers import LEAST_SCORES, fence

MOST_SCORES = 2000  # the contract's limit of one calibration


MOST_NAMED = 8  # frames left out that are named; the others are counted


@dataclass(frozen=True, slots=True)
class HeldOutScore:
    """The score of one held-out normal; ``camera`` is "" for a frame of no camera (of the first folder)."""

    frame: str
    camera: str
    score: float


@dataclass(frozen=True, slots=True)
class Calibrated:
    """The calibrations of each camera and of the whole product, and notes for a person about them.

    ``left_out`` are the held-out frames that are too far out to be believed normal, the farthest first.
    """

    calibrations: dict[str, Calibration]
    notes: tuple[str, ...]
    left_out: tuple[HeldOutScore, ...]

    def left_out_text(self) -> str:
        """Return the names of the frames left out, with their scores; "" when there are none."""
        named = [f"{one.frame} ({one.score:.4g})" for one in self.left_out[:MOST_NAMED]]
        more = len(self.left_out) - len(named)
        return ", ".join(named) + (f" and {more} more" if more else "")


def fewest_scores(rate: float) -> int:
    """Return how many held-out normals a threshold for ``rate`` needs: n with ceil((n+1)(1-rate)) <= n."""
    return math.ceil(1 / rate - 1 - 1e-9)


def calibration(scores: Sequence[float], rate: float, left_out: int = 0) -> Calibration:
    """Return the threshold that a normal exceeds with probability at most ``rate``.

    ``scores`` are held-out normal scores in any order; ``left_out`` more, all above them, were not believed.

    With too few scores the threshold is the largest of them. ``achieved_rate`` is the bound that the
    threshold keeps even if those left out are normals: (n + 1 - rank) / (n + 1) of all n. A verdict is
    anomalous when the score is *greater* than the threshold.
    """
    ordered = _thinned(sorted(_rounded(score) for score in scores))
    n = len(ordered)
    if n == 0:
        raise InvalidConfiguration("no held-out normal is left to calibrate the threshold with")
    rank = conformal_rank(n, rate)
    bound = (n + left_out + 1 - rank) / (n + left_out + 1)
    achieved = max(rate, bound)
    return Calibration(scores=ordered, threshold=ordered[rank - 1], achieved_rate=achieved, rate=rate)


def calibrate(scores: Sequence[HeldOutScore], rate: float) -> Calibrated:
    """Return the calibration of the product (from all scores) and of each camera that has enough scores.

    A camera with too few of its own is judged by the product's threshold, and a note says so. A frame is
    measured against those of its camera, and against all when these are too few to tell.
    """
    kept, left_out = _believed(scores)
    found = {PRODUCT_WIDE: calibration([one.score for one in kept], rate, len(left_out))}
    calibrated = Calibrated(found, (), tuple(sorted(left_out, key=lambda one: -one.score)))
    needed, notes = fewest_scores(rate), []
    if left_out:
        notes.append(
            f"{len(left_out)} of {len(scores)} held-out normals are too far out to be believed and were left "
            f"out; look at them: {calibrated.left_out_text()}; if they are normals, up to "
            f"{found[PRODUCT_WIDE].achieved_rate:.3f} of the normals alarm, and not {rate:g}"
        )
    if len(kept) < needed:
        notes.append(
            f"{len(kept)} held-out normals are too few for a false-alarm rate of {rate:g} "
            f"({needed} needed): the threshold bounds {found[PRODUCT_WIDE].achieved_rate:.3f}"
        )
    for camera in sorted({one.camera for one in scores} - {""}):
        values = [one.score for one in kept if one.camera == camera]
        if len(values) >= needed:
            found[camera] = calibration(values, rate, sum(one.camera == camera for one in left_out))
        else:
            notes.append(
                f"camera {camera} has {len(values)} held-out normals of {needed} needed: "
                "the product's threshold is used"
            )
    return replace(calibrated, notes=tuple(notes))


def _believed(scores: Sequence[HeldOutScore]) -> tuple[list[HeldOutScore], list[HeldOutScore]]:
    """Return the frames within the fence of their camera, and those beyond it."""
    by_camera: dict[str, list[float]] = {}
    for one in scores:
        by_camera.setdefault(one.camera, []).append(one.score)
    of_all = fence([one.score for one in scores])
    fences = {
        camera: of_all if len(values) < LEAST_SCORES else fence(values)
        for camera, values in by_camera.items()
    }
    kept: list[HeldOutScore] = []
    beyond: list[HeldOutScore] = []
    for one in scores:
        limit = fences[one.camera]
        (kept if limit is None or one.score <= limit else beyond).append(one)
    return kept, beyond


def _thinned(ordered: list[float]) -> list[float]:
    """Keep at most MOST_SCORES scores, spread evenly over the ranks, so that the quantiles hardly change."""
    n = len(ordered)
    if n <= MOST_SCORES:
        return ordered
    return [ordered[min(n - 1, round((i + 0.5) * n / MOST_SCORES - 0.5))] for i in range(MOST_SCORES)]


def _rounded(score: float) -> float:
    return float(f"{score:.7g}")  # float32 carries no more digits, and the event stays small
