"""Raises the score of pictures whose traits make good parts score low, before anything is judged."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import JsonValue
from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import override

from trainer.learning.quantile_regression import slopes_of_quantile

TRAITS = ("brightness", "detail")
FEWEST_NORMALS = 24  # fewer say nothing of how their scores go with their traits
_POOLED = 4  # pixels a side: finer detail is the sensor's noise as much as the part's
_LEAST_DETAIL = 1e-3  # of a picture without any, which has a logarithm all the same
_LARGEST = 1e6  # of any of the numbers: far beyond a score, and far from where floats end
_KNOWN = 0.01  # the share of pictures on each side beyond whose traits nothing is taken for known
_LEAST_SQUARE = 1e-12  # whose root has a gradient
_LAPLACIAN = ((0.0, 1.0, 0.0), (1.0, -4.0, 1.0), (0.0, 1.0, 0.0))


@dataclass(frozen=True, slots=True)
class TraitSlopes:
    """How the score that a share of normals stays below goes with each trait, in TRAITS' order.

    It changes by ``below`` for each unit that a trait lies under its ``median`` and by ``above`` for each
    over it, as far as ``least`` and ``greatest``: beyond these no normal was seen.
    """

    median: tuple[float, ...]
    below: tuple[float, ...]
    above: tuple[float, ...]
    least: tuple[float, ...]
    greatest: tuple[float, ...]

    @staticmethod
    def of(traits: NDArray[np.float64], scores: NDArray[np.float64], share: float) -> "TraitSlopes":
        """Fit the slopes to traits (N, 2) and scores (N,) of normals, by the regression of the quantile
        ``share`` of the scores, given the traits.
        """
        median = np.median(traits, axis=0)
        least, greatest = np.quantile(traits, [_KNOWN, 1 - _KNOWN], axis=0)
        away = traits.clip(least, greatest) - median
        found = slopes_of_quantile(
            np.concatenate([(-away).clip(min=0), away.clip(min=0)], axis=1), scores, share
        )
        kinds = (median, *np.split(found, 2), least, greatest)
        return TraitSlopes(*(tuple(one.tolist()) for one in kinds))

    def as_recipe(self) -> dict[str, JsonValue]:
        """Return the slopes as a recipe holds them."""
        return {name: list(getattr(self, name)) for name in self.__slots__}

    @staticmethod
    def of_recipe(stored: dict[str, Sequence[float]]) -> "TraitSlopes":
        """Return the slopes that a recipe holds; raises KeyError, TypeError or ValueError otherwise."""
        found = TraitSlopes(*(tuple(map(float, stored[name])) for name in TraitSlopes.__slots__))
        values = [getattr(found, name) for name in TraitSlopes.__slots__]
        if not all(
            len(one) == len(TRAITS) and all(abs(value) <= _LARGEST for value in one) for one in values
        ):
            raise ValueError(f"numbers of {len(TRAITS)} traits are due, of {_LARGEST:g} at most")
        if any(low > high for low, high in zip(found.least, found.greatest, strict=True)):
            raise ValueError("the least of a trait is above its greatest")
        return found


class TraitCompensation(nn.Module):
    """Returns how far the scores of normals with the traits of a picture lie under those of the median one's,
    (B,), never less than 0: nothing that a detector sees is taken from its score.

    Traits are the *brightness* of a picture (B, C, H, W) as it comes, its mean; and its *detail* as the
    halves see it, the logarithm of the deviation of its Laplacian at a quarter of the pixels a side.
    """

    numbers: Tensor

    def __init__(self, slopes: TraitSlopes) -> None:
        super().__init__()
        values = [getattr(slopes, name) for name in TraitSlopes.__slots__]
        self.register_buffer("numbers", torch.tensor(values, dtype=torch.float32), persistent=False)

    @override
    def forward(self, x: Tensor, lit: Tensor) -> Tensor:
        return self.of_traits(traits_of(x, lit))

    def of_traits(self, traits: Tensor) -> Tensor:
        """Return by how much the scores of pictures with these traits (B, 2) are raised, (B,)."""
        median, below, above, least, greatest = self.numbers
        away = torch.minimum(torch.maximum(traits, least), greatest) - median
        expected: Tensor = (below * (-away).clamp(min=0) + above * away.clamp(min=0)).sum(1)
        return (-expected).clamp(min=0)


def traits_of(x: Tensor, lit: Tensor) -> Tensor:
    """Return brightness and detail (B, 2) of pictures (B, C, H, W) in [0, 1] and of what the halves see."""
    kernel = torch.tensor(_LAPLACIAN, dtype=lit.dtype)[None, None]
    edges = functional.conv2d(functional.avg_pool2d(lit.mean(1, keepdim=True), _POOLED), kernel)
    deviation = (
        (edges - edges.mean((2, 3), keepdim=True)).square().mean((1, 2, 3)).clamp(min=_LEAST_SQUARE).sqrt()
    )
    return torch.stack([x.mean((1, 2, 3)), torch.log(deviation + _LEAST_DETAIL)], 1)
