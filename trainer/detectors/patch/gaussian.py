"""How far each patch is from the Gaussian of normal patches at its place.

Defard et al., "PaDiM", ICPR 2021 workshops. There each place has a covariance of its own; here squares of
places share one, which bounds the memory of a fine grid and serves few normals.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import override

from trainer.detectors.patch.profile import GaussianNumbers

_LEAST = 1e-6  # squared distances under it are rounding, and their root would have no gradient


@dataclass(frozen=True, slots=True)
class PlaceSquares:
    """How a map of (h, w) places is cut into squares of ``side`` places, ``rows`` by ``columns`` of them."""

    height: int
    width: int
    side: int

    @staticmethod
    def of(height: int, width: int, samples: int, numbers: GaussianNumbers) -> "PlaceSquares":
        """Return the least squares that have samples enough and are not too many; see GaussianNumbers."""
        side = max(1, math.ceil(math.sqrt(numbers.fewest / max(samples, 1))))
        while math.ceil(height / side) * math.ceil(width / side) > numbers.most:
            side += 1
        return PlaceSquares(height, width, min(side, max(height, width)))

    @property
    def rows(self) -> int:
        """PlaceSquares from top to bottom."""
        return math.ceil(self.height / self.side)

    @property
    def columns(self) -> int:
        """PlaceSquares from left to right."""
        return math.ceil(self.width / self.side)

    def cut(self, found: Tensor) -> Tensor:
        """Return (rows · columns, B · side², D) of (B, D, h, w), with zeros beyond the edges."""
        below, beside = self.rows * self.side - self.height, self.columns * self.side - self.width
        padded = functional.pad(found, (0, beside, 0, below))
        parts = padded.reshape(-1, found.shape[1], self.rows, self.side, self.columns, self.side)
        return parts.permute(2, 4, 0, 3, 5, 1).reshape(self.rows * self.columns, -1, found.shape[1])

    def joined(self, squares: Tensor) -> Tensor:
        """Return (B, h, w) of (rows · columns, B · side²)."""
        parts = squares.reshape(self.rows, self.columns, -1, self.side, self.side).permute(2, 0, 3, 1, 4)
        whole = parts.reshape(-1, self.rows * self.side, self.columns * self.side)
        return whole[:, : self.height, : self.width]


class PlaceGaussians(nn.Module):
    """Mahalanobis distances: ``mean`` (D, h, w) by place, ``whitening`` (squares, D, D) by square."""

    used: Tensor
    mean: Tensor
    whitening: Tensor

    def __init__(self, squares: PlaceSquares, dimensions: int) -> None:
        super().__init__()
        self.squares = squares
        self.register_buffer("used", torch.arange(dimensions))
        self.register_buffer("mean", torch.zeros(dimensions, squares.height, squares.width))
        self.register_buffer("whitening", torch.zeros(squares.rows * squares.columns, dimensions, dimensions))

    @override
    def forward(self, features: Tensor) -> Tensor:
        """Return distances (B, h, w) of features (B, F, h, w)."""
        away = self.squares.cut(features.index_select(1, self.used) - self.mean)
        squared = (away @ self.whitening).pow(2).sum(2)
        return self.squares.joined(squared).clamp(min=_LEAST).sqrt()


class Moments:
    """Sums over pictures that mean and covariance are made of, so that no picture's features are kept."""

    def __init__(self, squares: PlaceSquares, used: Tensor) -> None:
        self._squares, self._used, self._count = squares, used, 0
        places, size = squares.rows * squares.columns, len(used)
        self._sum = torch.zeros(size, squares.height, squares.width, dtype=torch.float64)
        self._products = torch.zeros(places, size, size, dtype=torch.float64)

    def add(self, features: Tensor) -> None:
        """Add features (B, F, h, w)."""
        found = features[:, self._used].double()
        self._count += len(found)
        self._sum += found.sum(0)
        rows = self._squares.cut(found)
        self._products += rows.transpose(1, 2) @ rows

    def fitted(self, ridge: float) -> PlaceGaussians:
        """Return the Gaussians of all that was added; ``ridge`` is added to each variance."""
        module = PlaceGaussians(self._squares, len(self._used))
        mean = self._sum / self._count
        rows = self._squares.cut(mean[None])
        places = self._squares.cut(torch.ones_like(mean[None, :1])).sum((1, 2))  # fewer at the edges
        within = self._products - self._count * (rows.transpose(1, 2) @ rows)
        freedom = (places * max(1, self._count - 1))[:, None, None]
        covariance = within / freedom + ridge * torch.eye(len(self._used), dtype=torch.float64)
        # With the covariance L Lᵀ, the distance is |L⁻¹ a|, so rows are multiplied by the transpose.
        inverse = torch.linalg.inv(torch.linalg.cholesky(covariance)).transpose(1, 2)
        module.used.copy_(self._used)
        module.mean.copy_(mean.float())
        module.whitening.copy_(inverse.float())
        return module
