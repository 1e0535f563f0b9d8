"""A detector of two parts in one graph: each is trained on the same frames and the same bank, in turn."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor
from typing_extensions import override

from steadyline.errors import PackageRejected
from trainer.detector_protocol import Detector, FitInput, Fitted, OnProgress, Overrides, Recipe, Served
from trainer.detectors.recipe import size_in_recipe
from trainer.pseudo.recipe import BankRecipe

WHOLE = 2000  # the units of progress that the parts share


@dataclass(frozen=True, slots=True)
class DetectorPart:
    """A detector, the name of its part in recipe, weights and checkpoints, and its share of WHOLE."""

    name: str
    detector: Detector
    share: int


class InParts(Detector):
    """Two detectors as one. The bank is the one that the first part asks for, and so are the figures'
    names; those of the second begin with the name of its part. ``steps``, when given, are those of each.
    """

    def __init__(self, name: str, parts: Sequence[DetectorPart]) -> None:
        self._name, self._parts = name, parts

    @abstractmethod
    def joined(self, first: Served, second: Served) -> Served:
        """Return the module that is served of both."""

    @abstractmethod
    def overrides_by_part(self, overrides: Overrides) -> Mapping[str, Overrides]:
        """Return what each part is given of an order's overrides; raises InvalidConfiguration."""

    @override
    def bank_recipe(self, profile: str) -> BankRecipe:
        # Each is asked: it raises when only one of them has such a profile.
        first, _ = (part.detector.bank_recipe(profile) for part in self._parts)
        return first

    @override
    def fit(self, given: FitInput, progress: OnProgress, checkpoint: Path | None) -> Fitted:
        chosen = self.overrides_by_part(given.overrides)
        fitted: list[Fitted] = []
        begun = 0
        for part in self._parts:
            own = replace(given, overrides=chosen.get(part.name, {}))
            kept = None if checkpoint is None else checkpoint / part.name
            fitted.append(part.detector.fit(own, share_of(progress, begun, part), kept))
            begun += part.share
        first, second = fitted
        recipe: Recipe = {
            "detector": self._name,
            "profile": given.profile,
            **size_in_recipe(given),
            "channels": given.normals.shape[3],
            **{part.name: one.recipe for part, one in zip(self._parts, fitted, strict=True)},
        }
        start = self._parts[1].name
        figures = {**first.figures, **{f"{start}_{name}": v for name, v in second.figures.items()}}
        return Fitted(self.joined(first.module, second.module).eval(), recipe, figures)

    @override
    def rebuild(self, recipe: Recipe, weights: Mapping[str, Tensor]) -> Served:
        found = [of_part(part.name, weights) for part in self._parts]
        recipes: Any = [recipe.get(part.name) for part in self._parts]
        if sum(map(len, found)) != len(weights) or not all(isinstance(one, dict) for one in recipes):
            raise PackageRejected(f"recipe and weights of {self._name} do not fit: two parts are due")
        rows = zip(self._parts, recipes, found, strict=True)
        return self.joined(*(part.detector.rebuild(one, tensors) for part, one, tensors in rows)).eval()


def share_of(progress: OnProgress, begun: int, part: DetectorPart) -> OnProgress:
    """Return the callback for one part, which maps its progress to its share of the whole."""

    def on_progress(step: int, total: int, message: str) -> None:
        progress(begun + part.share * step // max(total, 1), WHOLE, f"{part.name}: {message}")

    return on_progress


def of_part(part: str, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of one part by the names that the part itself has for them."""
    start = f"{part}."
    return {name.removeprefix(start): tensor for name, tensor in weights.items() if name.startswith(start)}
