"""When a model sees next to nothing of the evidence that it is judged by; numbers only. Pure."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Evidence = Literal["defects", "pseudo"]

LEAST_AUROC = 0.6  # on real defects, which leave no doubt; under it a model is called blind
LEAST_FOUND = 0.02  # of real defects, over the threshold; a normal is over it about as often
LEAST_DEFECTS = 90  # pseudo-anomalies; by fewer nobody is called blind
MODEST_AUROC = 0.6  # on pseudo-anomalies, under which a person is told what may escape the model
_Z = 1.645  # of a one-sided test at 5 %
_DRAWN = "pseudo-anomalies made at the camera's pixels"


@dataclass(frozen=True, slots=True)
class Sight:
    """What a model made of its evidence: AUROC against held-out normals, and the share over its threshold.

    ``count`` is how many defective pictures the evidence has. ``raised`` is the share of them that score
    above the very normal into which they were drawn, a tie counting half; None for real defects, which were
    drawn into nothing.
    """

    evidence: Evidence
    auroc: float
    found: float
    count: int
    raised: float | None = None


def raised_share(scores: NDArray[np.float32], before: NDArray[np.float32]) -> float:
    """Return the share of defective pictures that score above their own normals, ``before``; both (N,)."""
    return round(float(np.mean((scores > before) + 0.5 * (scores == before))), 4)


def blind_reason(sight: Sight) -> str | None:
    """Return in plain words why a model sees next to nothing; None when it sees something.

    Of pseudo-anomalies only the comparison of each with its own normal counts. Their AUROC is far too severe:
    a model with .88 on real defects had .52 of them, because normals differ from each other by more than a
    faint defect adds (docs/plan.md).
    """
    what = "known defects" if sight.evidence == "defects" else _DRAWN
    told = (sight.auroc, sight.found, 0.5 if sight.raised is None else sight.raised)
    if not all(math.isfinite(one) for one in told):
        return f"it answers {sight.count} {what} with numbers that are none"
    if sight.evidence == "pseudo":
        return None if sight.raised is None else blind_to_drawn(sight.raised, sight.count)
    if sight.auroc < LEAST_AUROC:
        return f"its AUROC on {sight.count} {what} is {sight.auroc:.2f}, under {LEAST_AUROC:g}; chance is 0.5"
    if sight.found < LEAST_FOUND:
        return f"it finds {sight.found:.0%} of {sight.count} {what} at its threshold, under {LEAST_FOUND:.0%}"
    return None


def blind_to_drawn(raised: float, count: int) -> str | None:
    """Return why a model sees next to nothing of ``count`` pseudo-anomalies, by their ``raised_share``."""
    if not math.isfinite(raised):
        return f"it answers {count} {_DRAWN} with numbers that are none"
    least = 0.5 + _Z * math.sqrt(0.25 / max(1, count))
    if raised > least:
        return None
    return (
        f"{raised:.0%} of {count} {_DRAWN} score above the very picture that each was drawn into; "
        f"chance is 50%, and {least:.0%} can be told from it"
    )


def modest_note(sight: Sight) -> str | None:
    """Return what a person should read of a model that sees, and ranks pseudo-anomalies poorly."""
    if sight.evidence == "defects" or not sight.auroc < MODEST_AUROC or blind_reason(sight) is not None:
        return None
    return (
        f"{sight.count} pseudo-anomalies of a sixteenth to a quarter of the shorter side are ranked with an "
        f"AUROC of {sight.auroc:.2f}: defects as small and as faint may escape this model; real ones "
        "are often plainer, and only known defects tell (python -m trainer plan --defects FOLDER)"
    )
