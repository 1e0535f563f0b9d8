"""The area under the ROC curve, by ranks."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def auroc(scores: ArrayLike, anomalous: ArrayLike) -> float:
    """Return the chance that an anomaly scores above a normal, ties counting half (Mann-Whitney).

    ``scores`` and ``anomalous`` are (N,). Raises ValueError when one of the two kinds is missing or a score
    is not finite.
    """
    values = np.asarray(scores, np.float64).ravel()
    positive = np.asarray(anomalous, bool).ravel()
    count, others = int(positive.sum()), int((~positive).sum())
    if not count or not others:
        raise ValueError(f"AUROC needs both kinds: {count} anomalous, {others} normal")
    if not np.isfinite(values).all():
        raise ValueError("a score is NaN or infinite")
    rank_sum = float(_ranks(values)[positive].sum())
    return (rank_sum - count * (count + 1) / 2) / (count * others)


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks from 1; equal values share the mean of theirs."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    means: NDArray[np.float64] = (last - (counts - 1) / 2)[place]
    return means
