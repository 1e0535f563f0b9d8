"""One scale for the scores of a model, of whichever detector: 0.5 is the threshold, 1 is never reached.

Raw scores of two detectors, or of two versions of one, say nothing beside each other: one runs from 0 to 1,
the other from -40 up. On this scale a person, a rule or a colour may stand still while models change. It
follows from the held-out normals alone, so that another threshold needs no new model.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from steadyline.inference import Floats

HIGH = 0.95  # the quantile of held-out normals that is one spread above their median

_ABOVE = math.nextafter(0.5, 1)
_LARGEST = math.nextafter(1, 0)


@dataclass(frozen=True, slots=True)
class ScoreScale:
    """Where 0.5 lies, and how far a spread is, both in units of the raw score.

    A score ``z`` spreads above the threshold is calibrated as ``(1 + z / (1 + |z|)) / 2``: 0.75 one spread
    above, 0.25 one below, 0.95 nine above. It never saturates, so what is higher stays higher.
    """

    threshold: float
    spread: float

    @classmethod
    def of(cls, normals: Sequence[float], threshold: float) -> "ScoreScale":
        """Return the scale of a model whose held-out normals have these scores, ascending.

        A spread is from their median to their 95th percentile. Where those are one, as of a single normal, it
        is what the threshold is above the median, and 1 where that is nothing either.
        """
        median, high = (normals[round(share * (len(normals) - 1))] for share in (0.5, HIGH))
        spread = next((one for one in (high - median, threshold - median) if one > 0), 1.0)
        return cls(threshold, spread)

    def calibrated(self, score: float) -> float:
        """Return ``score`` between 0 and 1, above 0.5 exactly where it is above the threshold."""
        far = (score - self.threshold) / self.spread
        # Not 1 + far / (1 + |far|) as it stands: what is large beyond measure has to stay below 1.
        found = (1 + far / (1 + abs(far))) / 2 if math.isfinite(far) else float(far > 0)
        if score > self.threshold:
            return min(max(found, _ABOVE), _LARGEST)
        return max(min(found, 0.5), math.ulp(0.0))

    def on_map(self, anomaly_map: Floats, score: float) -> "ScoreScale":
        """Return the scale of the cells of a map (h, w) whose frame has this score.

        A score is the highest of the cells, or a mean or a smooth maximum of the worst: on the map the
        threshold lies as far below the peak as the score is above its threshold.
        """
        return replace(self, threshold=float(anomaly_map.max()) - (score - self.threshold))

    def of_cells(self, anomaly_map: Floats) -> NDArray[np.float64]:
        """Return the cells of a map (h, w), calibrated."""
        far = (anomaly_map.astype(np.float64) - self.threshold) / self.spread
        found: NDArray[np.float64] = (1 + far / (1 + np.abs(far))) / 2
        return found
