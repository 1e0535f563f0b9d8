"""Two detectors as one: both are trained on the same frames and the same bank, one after the other."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor
from typing_extensions import override

from steadyline.errors import InvalidConfiguration, PackageRejected
from trainer.detector_protocol import Detector, FitInput, Fitted, OnProgress, Overrides, Recipe, Served
from trainer.detectors.pair.served import PairServed
from trainer.pseudo.recipe import BankRecipe

VERDICT, MAP = "verdict", "map"
WHOLE = 1000  # the units of progress that each of the two parts gets


class Pair(Detector):
    """Score by ``verdict`` and map by ``mapped``; the pair is named ``robust+daf`` after both.

    The bank is the one that ``verdict`` asks for. Overrides of single numbers are named
    ``verdict.schedule.batch`` or ``map.schedule.batch``. ``steps``, when given, are the steps of each part.
    """

    def __init__(self, name: str, verdict: Detector, mapped: Detector) -> None:
        self._name, self._verdict, self._mapped = name, verdict, mapped

    @override
    def bank_recipe(self, profile: str) -> BankRecipe:
        self._mapped.bank_recipe(profile)  # raises when only one of the two has such a profile
        return self._verdict.bank_recipe(profile)

    @override
    def fit(self, given: FitInput, progress: OnProgress, checkpoint: Path | None) -> Fitted:
        chosen = _by_part(given.overrides)
        fitted: list[Fitted] = []
        for index, (part, detector) in enumerate(((VERDICT, self._verdict), (MAP, self._mapped))):
            own = replace(given, overrides=chosen[part])
            kept = None if checkpoint is None else checkpoint / part
            fitted.append(detector.fit(own, _half(progress, index, part), kept))
        verdict, mapped = fitted
        recipe: Recipe = {
            "detector": self._name,
            "profile": given.profile,
            "size": given.normals.shape[1],
            "channels": given.normals.shape[3],
            VERDICT: verdict.recipe,
            MAP: mapped.recipe,
        }
        figures = {**verdict.figures, **{f"{MAP}_{name}": v for name, v in mapped.figures.items()}}
        return Fitted(PairServed(verdict.module, mapped.module).eval(), recipe, figures)

    @override
    def rebuild(self, recipe: Recipe, weights: Mapping[str, Tensor]) -> Served:
        parts = {part: _of(part, weights) for part in (VERDICT, MAP)}
        recipes: Any = [recipe.get(part) for part in parts]
        if len(parts[VERDICT]) + len(parts[MAP]) != len(weights) or not all(
            isinstance(one, dict) for one in recipes
        ):
            raise PackageRejected(f"recipe and weights of {self._name} do not fit: two parts are due")
        verdict = self._verdict.rebuild(recipes[0], parts[VERDICT])
        return PairServed(verdict, self._mapped.rebuild(recipes[1], parts[MAP])).eval()


def _half(progress: OnProgress, index: int, part: str) -> OnProgress:
    """Return the callback for one part, which maps its progress to one half of the pair's."""

    def on_progress(step: int, total: int, message: str) -> None:
        done = index * WHOLE + WHOLE * step // max(total, 1)
        progress(done, 2 * WHOLE, f"{part}: {message}")

    return on_progress


def _by_part(overrides: Overrides) -> dict[str, dict[str, float | int | str | bool]]:
    found: dict[str, dict[str, float | int | str | bool]] = {VERDICT: {}, MAP: {}}
    for name, value in overrides.items():
        part, _, rest = name.partition(".")
        if part not in found or not rest:
            raise InvalidConfiguration(f"{name!r} belongs to neither: begin it with {VERDICT}. or {MAP}.")
        found[part][rest] = value
    return found


def _of(part: str, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    start = f"{part}."
    return {name.removeprefix(start): tensor for name, tensor in weights.items() if name.startswith(start)}
