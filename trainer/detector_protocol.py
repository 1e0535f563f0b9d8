"""What a detector is given, what it returns, and how it says how far it is."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from pydantic import JsonValue
from torch import Tensor, nn
from typing_extensions import override

from trainer.arrays import KnownDefects, Pictures, PseudoBank
from trainer.pseudo.recipe import BankRecipe

Recipe = dict[str, JsonValue]
Overrides = Mapping[str, float | int | str | bool]  # dotted name of a profile's number → its value


@dataclass(frozen=True, slots=True)
class FitInput:
    """Everything a training depends on. ``steps`` overrides the profile's own number."""

    normals: Pictures
    bank: PseudoBank
    profile: str
    seed: int
    steps: int | None = None
    known_defects: KnownDefects | None = None
    overrides: Overrides = field(default_factory=dict)


class OnProgress(Protocol):
    """Hears how far a training is."""

    def __call__(self, step: int, total: int, message: str) -> None:
        """``step`` of ``total`` are done; ``message`` is a few words for a person."""
        ...


class ServedModule(Protocol):
    """A torch module that obeys the inference contract."""

    def __call__(self, picture: Tensor) -> tuple[Tensor, Tensor]:
        """Return scores (B,) float32, high = anomalous, and maps (B, h, w) of uint8 (B, S, S, C)."""
        ...

    def score_float(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The same after the cast, which attacks differentiate: ``x`` is (B, C, S, S) float32 in [0, 1]."""
        ...


class Served(nn.Module, ABC):
    """Base of served modules: the cast and the layout; all else is on the path that attacks see.

    ``lipschitz`` is how far the score moves at most, proven, when each pixel of [0, 1] moves by at most 1;
    None when nothing is proven.
    """

    lipschitz: float | None = None

    @override
    def forward(self, picture: Tensor) -> tuple[Tensor, Tensor]:
        """See ServedModule."""
        return self.score_float(picture.permute(0, 3, 1, 2).float() / 255)

    @abstractmethod
    def score_float(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """See ServedModule."""

    def score_bounds(self, x: Tensor, epsilon: float) -> tuple[Tensor, Tensor] | None:
        """Return the least and the greatest score (B,), proven, under any change of ``x`` (B, C, S, S) by at
        most ``epsilon`` a pixel; None when nothing is proven.
        """
        if self.lipschitz is None:
            return None
        score, most = self.score_float(x)[0], self.lipschitz * epsilon
        return score - most, score + most

    def score_alone(self, x: Tensor) -> Tensor:
        """Return the scores of ``score_float``: whoever needs no map need not wait for one."""
        return self.score_float(x)[0]


@dataclass(frozen=True, slots=True)
class Fitted:
    """A trained module in eval mode on the CPU, its recipe, and label-free figures of its training."""

    module: Served
    recipe: Recipe
    figures: dict[str, float]


class Detector(Protocol):
    """One way to find anomalies."""

    def bank_recipe(self, profile: str) -> BankRecipe:
        """Return how the bank is made; raises InvalidConfiguration when there is no such profile."""
        ...

    def fit(self, given: FitInput, progress: OnProgress, checkpoint: Path | None) -> Fitted:
        """Train; goes on from the newest checkpoint of this input in the folder ``checkpoint``, if any.

        The same input gives the same module, interrupted or not. Raises InvalidConfiguration.
        """
        ...

    def rebuild(self, recipe: Recipe, weights: Mapping[str, Tensor]) -> Served:
        """Return the module of a recipe with its weights; PackageRejected when they do not fit."""
        ...
