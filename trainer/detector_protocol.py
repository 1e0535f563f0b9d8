"""The protocol of detectors: their input, their result, and how they report progress."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from pydantic import JsonValue
from torch import Tensor, nn
from typing_extensions import override

from steadyline.inference import CERTIFIED_SCORE, HALVES
from trainer.arrays import KnownDefects, Pictures, PseudoBank
from trainer.pseudo.recipe import BankRecipe

Recipe = dict[str, JsonValue]
Overrides = Mapping[str, float | int | str | bool]  # dotted name of a profile's number → its value


@dataclass(frozen=True, slots=True)
class FitInput:
    """Everything that a training depends on; ``steps`` overrides the number in the profile."""

    normals: Pictures
    bank: PseudoBank
    profile: str
    seed: int
    steps: int | None = None
    known_defects: KnownDefects | None = None
    overrides: Overrides = field(default_factory=dict)


class OnProgress(Protocol):
    """A callback that is called with the progress of a training."""

    def __call__(self, step: int, total: int, message: str) -> None:
        """Report that ``step`` of ``total`` are done; ``message`` is a few words for a person."""
        ...


class ServedModule(Protocol):
    """A torch module that obeys the inference contract."""

    def __call__(self, picture: Tensor) -> tuple[Tensor, ...]:
        """Return scores (B,) float32, high for anomalies, and maps (B, h, w) of (B, H, W, C) uint8; where it
        has a certified part, that part's scores (B,) too, and where it has halves, the scores (B, 2) of both.
        """
        ...

    def score_float(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Do the same for ``x`` (B, C, H, W) float32 in [0, 1]; attacks differentiate this function."""
        ...


class Served(nn.Module, ABC):
    """Base of served modules. It casts and transposes; everything else happens where attacks can see it.

    ``lipschitz`` is a proven bound: when each pixel in [0, 1] changes by at most 1, the score changes by at
    most this much. It is None when nothing is proven.
    """

    lipschitz: float | None = None

    @override
    def forward(self, picture: Tensor) -> tuple[Tensor, ...]:
        """Answer as in ``ServedModule``."""
        return tuple(self.outputs(picture.permute(0, 3, 1, 2).float() / 255).values())

    @property
    def certified_part(self) -> "Served | None":
        """The module whose score is certified: it moves by at most e when every pixel moves by at most e."""
        return self if self.lipschitz is not None and self.lipschitz <= 1 else None

    @property
    def halves(self) -> tuple[str, ...]:
        """The names of the two halves that may each speak; none where a score has one source."""
        return ()

    @property
    def output_names(self) -> tuple[str, ...]:
        """The names of all that is served, in the order of ``outputs``."""
        certified = () if self.certified_part is None else (CERTIFIED_SCORE,)
        return ("score", "map", *certified, *((HALVES,) if self.halves else ()))

    def outputs(self, x: Tensor) -> dict[str, Tensor]:
        """Return all that is served of ``x`` (B, C, H, W), by ``output_names`` and in their order."""
        score, anomaly_map = self.score_float(x)
        certified = {} if self.certified_part is None else {CERTIFIED_SCORE: score.clone()}
        return {"score": score, "map": anomaly_map, **certified}

    @abstractmethod
    def score_float(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Answer as in ``ServedModule``."""

    def score_bounds(self, x: Tensor, epsilon: float) -> tuple[Tensor, Tensor] | None:
        """Return proven bounds (B,), least and greatest, of the score; None when nothing is proven.

        They hold for any change of ``x`` (B, C, H, W) by at most ``epsilon`` per pixel.
        """
        if self.lipschitz is None:
            return None
        score, most = self.score_float(x)[0], self.lipschitz * epsilon
        return score - most, score + most

    def score_alone(self, x: Tensor) -> Tensor:
        """Return the scores of ``score_float``, for callers that need no map; a pair then computes none."""
        return self.score_float(x)[0]


@dataclass(frozen=True, slots=True)
class Fitted:
    """A trained module in eval mode on the CPU, its recipe, and figures of its training without labels."""

    module: Served
    recipe: Recipe
    figures: dict[str, float]


class Detector(Protocol):
    """One method to find anomalies."""

    def bank_recipe(self, profile: str) -> BankRecipe:
        """Return how the bank is made; raises InvalidConfiguration when there is no such profile."""
        ...

    def fit(self, given: FitInput, progress: OnProgress, checkpoint: Path | None) -> Fitted:
        """Train, and resume from the newest checkpoint of this input in the folder ``checkpoint``, if any.

        The same input gives the same module, interrupted or not. Raises InvalidConfiguration.
        """
        ...

    def rebuild(self, recipe: Recipe, weights: Mapping[str, Tensor]) -> Served:
        """Return the module of a recipe and its weights; raises PackageRejected when they do not fit."""
        ...
