"""A Gaussian that smooths maps, within a graph."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import override

LEAST_SIGMA = 0.1  # of a cell: a narrower Gaussian leaves a map as it is, and divides by next to nothing
_REACH = 3  # standard deviations of the Gaussian on either side


class GaussianSmoothing(nn.Module):
    """Smooths maps (B, h, w) by a Gaussian of ``sigma`` cells; beyond an edge its cells are repeated."""

    weights: Tensor

    def __init__(self, sigma: float) -> None:
        super().__init__()
        self.register_buffer("weights", _gaussian(sigma), persistent=False)

    @override
    def forward(self, maps: Tensor) -> Tensor:
        reach = self.weights.shape[0] // 2
        padded = functional.pad(maps[:, None], (reach, reach, reach, reach), mode="replicate")
        across = functional.conv2d(padded, self.weights[None, None, None, :])
        return functional.conv2d(across, self.weights[None, None, :, None])[:, 0]


def _gaussian(sigma: float) -> Tensor:
    """Return the weights of a Gaussian, cut off at 3 sigma on either side, with sum 1."""
    sigma = max(sigma, LEAST_SIGMA)
    reach = max(1, math.ceil(_REACH * sigma))
    away = torch.arange(-reach, reach + 1).float()
    weights = torch.exp(-0.5 * (away / sigma) ** 2)
    return weights / weights.sum()
