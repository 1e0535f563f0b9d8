"""Quantile regression: how the value that a share of numbers stays below goes with what is known of each."""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import linprog


def slopes_of_quantile(
    known: NDArray[np.float64], values: NDArray[np.float64], share: float
) -> NDArray[np.float64]:
    """Return the slopes (K,) of the quantile ``share`` of values (N,) over what is ``known`` of each (N, K).

    Solved as the linear programme of Koenker and Bassett ("Regression Quantiles", 1978): each value over its
    prediction costs ``share`` of the distance, each under it the rest. Slopes are 0 where that has no
    solution.
    """
    count, slopes = known.shape
    given = np.concatenate([np.ones((count, 1)), known], axis=1)
    found = linprog(
        np.concatenate([np.zeros(slopes + 1), np.full(count, share), np.full(count, 1 - share)]),
        A_eq=sparse.hstack([sparse.csr_matrix(given), sparse.identity(count), -sparse.identity(count)]),
        b_eq=values,
        bounds=[(None, None)] * (slopes + 1) + [(0, None)] * (2 * count),
        method="highs",
    )
    if found.x is None:
        return np.zeros(slopes)
    kept: NDArray[np.float64] = found.x[1 : slopes + 1]
    return kept
