"""Brings a picture in light that no normal had back to the edge of what they had, before any half sees it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import JsonValue
from torch import Tensor, nn
from typing_extensions import override

from trainer.arrays import Pictures

_MOST_GAIN = 4.0  # a flatter picture has lost more than a larger gain could bring back
_LEAST_DEVIATION = 1 / 255  # of a picture without contrast, which stays so


@dataclass(frozen=True, slots=True)
class LightLimits:
    """The least and the greatest mean and deviation that a picture may have, of each channel (C,), in [0, 1].

    They are quantiles of the normals': a defect that darkens its picture as far as normals go is left as it
    is, and another lamp, exposure or black level is taken back to there.
    """

    means: tuple[tuple[float, ...], tuple[float, ...]]
    deviations: tuple[tuple[float, ...], tuple[float, ...]]

    @staticmethod
    def of(normals: Pictures, beyond: float) -> "LightLimits":
        """Return the limits that the share ``beyond`` of normals (N, H, W, C) uint8 exceeds on each side."""
        moments = np.array([_moments(picture) for picture in normals])  # one by one: they may fill the memory
        found = [np.quantile(moments[:, which], [beyond, 1 - beyond], axis=0) for which in (0, 1)]
        means, deviations = ((tuple(low.tolist()), tuple(high.tolist())) for low, high in found)
        return LightLimits(means, deviations)

    def as_recipe(self) -> dict[str, JsonValue]:
        """Return the limits as a recipe holds them."""
        return {
            name: [list(side) for side in limits]
            for name, limits in (("means", self.means), ("deviations", self.deviations))
        }

    @staticmethod
    def of_recipe(stored: dict[str, Sequence[Sequence[float]]]) -> "LightLimits":
        """Return the limits that a recipe holds; raises KeyError, TypeError or ValueError otherwise."""
        means, deviations = (
            tuple(tuple(map(float, side)) for side in stored[name]) for name in ("means", "deviations")
        )
        (low, high), (flattest, fullest) = means, deviations
        if not len(low) == len(high) == len(flattest) == len(fullest):
            raise ValueError("limits of light are not of the same channels")
        ordered = zip((*low, *flattest), (*high, *fullest), strict=True)
        if not all(0 <= least <= greatest <= 1 for least, greatest in ordered):
            raise ValueError("limits of light are not between 0 and 1, the least first")
        return LightLimits((low, high), (flattest, fullest))


class LightRange(nn.Module):
    """Takes pictures (B, C, H, W) in [0, 1] to mean and deviation within limits; those within stay as they
    are.
    """

    means: Tensor
    deviations: Tensor

    def __init__(self, limits: LightLimits) -> None:
        super().__init__()
        self.register_buffer("means", _sides(limits.means), persistent=False)
        self.register_buffer("deviations", _sides(limits.deviations), persistent=False)

    @override
    def forward(self, x: Tensor) -> Tensor:
        mean = x.mean((2, 3), keepdim=True)
        deviation = (x - mean).square().mean((2, 3), keepdim=True).clamp(min=_LEAST_DEVIATION**2).sqrt()
        wanted = deviation.clamp(min=self.deviations[0], max=self.deviations[1])
        gain = (wanted / deviation).clamp(max=_MOST_GAIN)
        return ((x - mean) * gain + mean.clamp(min=self.means[0], max=self.means[1])).clamp(0, 1)


def _moments(picture: Pictures) -> NDArray[np.float64]:
    """Return mean and deviation (2, C) of a picture (H, W, C) uint8, in [0, 1]."""
    flat = picture.reshape(-1, picture.shape[2]) / 255
    return np.stack([flat.mean(axis=0), flat.std(axis=0)])


def _sides(limits: tuple[tuple[float, ...], tuple[float, ...]]) -> Tensor:
    return torch.tensor(limits, dtype=torch.float32)[:, :, None, None]
