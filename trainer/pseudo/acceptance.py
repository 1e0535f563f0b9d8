"""Check that a pseudo-anomaly no longer looks normal: a Gaussian per cell, compared with held-out normals.

Features are taken per cell, of which there are about 16 x 16, and modelled by one Gaussian per cell. Its
covariance is shrunk towards that of all cells, because there are few normals and many cells. A picture is as
unlikely as its least likely cell, so that a small defect counts as much as a large one. The bar is a low
quantile of likelihood over normals that the Gaussians were not fitted to; on those they were fitted to,
almost anything would pass.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainer.pseudo.transform import Picture

CELLS = 16  # along each side of a square picture; another one has as many, as square as its pixels allow
SHRINKAGE = 0.2  # towards the covariance of all cells; with 100 normals a cell has 100 samples of 6 features
_FLOOR = 1e-5  # variance of features in [0, 1]: below the 8-bit step of 1/255

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Bar:
    """What a distortion must reach to count as an anomaly.

    At most the share ``quantile`` of held-out normals may be as unlikely. The largest change of a 2 x 2 mean
    must be at least ``contrast``: a defect weaker than twice the attack cannot be told from an attacked
    normal.
    """

    quantile: float
    contrast: float


class NormalCells:
    """One Gaussian per cell, fitted to normals, and the distances of held-out normals to it."""

    def __init__(self, fitted: Iterable[Picture], held_out: Iterable[Picture]) -> None:
        """``fitted`` and ``held_out`` each give pictures (H, W, C) in [0, 1], one after the other; neither
        may be empty.
        """
        found = np.stack([cell_features(picture) for picture in fitted])
        self._means = found.mean(axis=0)
        apart = found - self._means
        own = np.einsum("ncf,ncg->cfg", apart, apart) / max(1, len(found) - 1)
        covariance = (1 - SHRINKAGE) * own + SHRINKAGE * own.mean(axis=0)
        self._precisions = np.linalg.inv(covariance + _FLOOR * np.eye(covariance.shape[-1]))
        self._held_out = np.sort([self.distance(picture) for picture in held_out])

    def distance(self, picture: Picture) -> float:
        """Return the squared Mahalanobis distance of the least likely cell of (H, W, C)."""
        apart = cell_features(picture) - self._means
        return float(np.einsum("cf,cfg,cg->c", apart, self._precisions, apart).max())

    def share_as_unlikely(self, picture: Picture) -> float:
        """Return the share of held-out normals that are at least as unlikely as ``picture``."""
        n = len(self._held_out)
        return float(n - np.searchsorted(self._held_out, self.distance(picture))) / n


def cell_features(picture: Picture) -> Floats:
    """Return (cells, 6·C): mean, deviation, extremes and mean slopes of each cell of (H, W, C).

    Raises ValueError when a side is shorter than CELLS pixels.
    """
    height, width = picture.shape[:2]
    if min(height, width) < CELLS:
        raise ValueError(f"pictures smaller than {CELLS} pixels cannot be checked: {picture.shape}")
    side = cell_side(height, width)
    whole = picture[: height // side * side, : width // side * side].astype(np.float64)
    down = np.abs(np.diff(whole, axis=0, append=whole[-1:]))
    right = np.abs(np.diff(whole, axis=1, append=whole[:, -1:]))
    cells, slopes_down, slopes_right = (_cells(plane, side) for plane in (whole, down, right))
    features = [
        cells.mean(axis=1),
        cells.std(axis=1),
        cells.min(axis=1),
        cells.max(axis=1),
        slopes_down.mean(axis=1),
        slopes_right.mean(axis=1),
    ]
    return np.concatenate(features, axis=1)


def cell_side(height: int, width: int) -> int:
    """Return the side in pixels of a cell, which is square."""
    return min(math.isqrt(height * width) // CELLS, height, width)


def largest_change(before: Picture, after: Picture) -> float:
    """Return the largest 2 x 2 mean of the change, over all channels."""
    change = np.abs(after - before)
    means = change[1:, 1:] + change[:-1, 1:] + change[1:, :-1] + change[:-1, :-1]
    return float(means.max() / 4)


def _cells(plane: Floats, side: int) -> Floats:
    """Reshape (H, W, C) to (cells, pixels of a cell, C)."""
    rows, columns, channels = plane.shape[0] // side, plane.shape[1] // side, plane.shape[2]
    blocks = plane.reshape(rows, side, columns, side, channels).transpose(0, 2, 1, 3, 4)
    return blocks.reshape(rows * columns, side * side, channels)
