"""Two detectors as one: the verdict of the first and the map of the second."""

from collections.abc import Mapping
from dataclasses import replace

from typing_extensions import override

from steadyline.errors import InvalidConfiguration
from trainer.detector_protocol import Detector, Overrides, Served
from trainer.detectors.in_parts import WHOLE, DetectorPart, InParts
from trainer.detectors.pair.served import PairServed
from trainer.detectors.registry import takes_crops
from trainer.pseudo.recipe import BankRecipe

VERDICT, MAP = "verdict", "map"


class Pair(InParts):
    """Score by ``verdict`` and map by ``mapped``; the pair is named ``robust+daf`` after both.

    Overrides of single numbers are named ``verdict.schedule.batch`` or ``map.schedule.batch``.
    """

    def __init__(self, name: str, verdict: Detector, mapped: Detector) -> None:
        half = WHOLE // 2
        super().__init__(name, (DetectorPart(VERDICT, verdict, half), DetectorPart(MAP, mapped, half)))

    @override
    def bank_recipe(self, profile: str) -> BankRecipe:
        """Return the bank of the first part; it holds whole pictures when the other part needs them."""
        first = super().bank_recipe(profile)
        return first if takes_crops(self._name) else replace(first, crops=None)

    @override
    def joined(self, first: Served, second: Served) -> Served:
        return PairServed(first, second)

    @override
    def overrides_by_part(self, overrides: Overrides) -> Mapping[str, Overrides]:
        found: dict[str, dict[str, float | int | str | bool]] = {VERDICT: {}, MAP: {}}
        for name, value in overrides.items():
            part, _, rest = name.partition(".")
            if part not in found or not rest:
                raise InvalidConfiguration(f"{name!r} belongs to neither: begin it with {VERDICT}. or {MAP}.")
            found[part][rest] = value
        return found
