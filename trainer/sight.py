"""When a model sees next to nothing of the evidence that it is judged by; numbers only. Pure."""

import math
from dataclasses import dataclass
from typing import Literal

Evidence = Literal["defects", "pseudo"]

# Under these a model is called blind. Pseudo-anomalies made at a camera's own pixels are a severe test: a
# detector with an AUROC of .913 on real defects had .578 of them (docs/results/2026-11-29-plan.md). Real
# defects leave no such doubt.
LEAST_AUROC: dict[Evidence, float] = {"defects": 0.6, "pseudo": 0.55}
LEAST_FOUND = 0.02  # of the evidence, over the threshold; a normal is over it about as often


@dataclass(frozen=True, slots=True)
class Sight:
    """What a model made of its evidence: AUROC against held-out normals, and the share over its threshold.

    ``count`` is how many defective pictures the evidence has.
    """

    evidence: Evidence
    auroc: float
    found: float
    count: int


def blind_reason(sight: Sight) -> str | None:
    """Return in plain words why a model sees next to nothing; None when it sees something."""
    what = "known defects" if sight.evidence == "defects" else "pseudo-anomalies made at the camera's pixels"
    if not math.isfinite(sight.auroc) or not math.isfinite(sight.found):
        return f"it answers {sight.count} {what} with numbers that are none"
    least = LEAST_AUROC[sight.evidence]
    if sight.auroc < least:
        return f"its AUROC on {sight.count} {what} is {sight.auroc:.2f}, under {least:g}; chance is 0.5"
    if sight.found < LEAST_FOUND:
        return f"it finds {sight.found:.0%} of {sight.count} {what} at its threshold, under {LEAST_FOUND:.0%}"
    return None
