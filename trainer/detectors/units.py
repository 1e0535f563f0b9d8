"""Units in which scores of different kinds can be compared: those of normals that were held aside.

A score is told in deviations from the median of normals that its training did not see. Median and MAD are
moved by no few odd pictures, and need none that is defective.
"""

import numpy as np
from numpy.typing import NDArray

HELD_ASIDE_OF = 8  # one normal in eight
RUNS = 64  # neighbours are often alike, so normals are held aside in runs: of at most a 64th of all each
_DEVIATION = 1.4826  # MADs in a standard deviation of a normal distribution
_LEAST = 1e-3  # of the median's size: a score that hardly varies must not be divided by nothing


def held_aside(count: int, seed: int) -> NDArray[np.bool_]:
    """Return which of ``count`` normals, in their order, are held aside: (count,) bool.

    Whole runs of neighbours are, since one of two pictures that are almost the same tells nothing of new
    ones. At least one of two normals is held aside, and at least one is not.
    """
    length = max(1, count // RUNS)
    runs = np.arange(count) // length
    period = min(HELD_ASIDE_OF, int(runs[-1]) + 1)
    aside: NDArray[np.bool_] = runs % period == seed % period
    return aside


def units_of(scores: NDArray[np.float32]) -> tuple[float, float]:
    """Return centre and spread of scores (N,) of normals: their median, and their deviation by the MAD."""
    centre = float(np.median(scores))
    deviation = _DEVIATION * float(np.median(np.abs(scores - centre)))
    return centre, max(deviation, _LEAST * max(abs(centre), 1.0))
