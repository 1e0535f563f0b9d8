"""BGAD as a ``Detector``: train it, and build it again from a package."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from typing_extensions import override

from steadyline.errors import InvalidConfiguration, PackageRejected
from trainer.backbone.lite import Lite0
from trainer.backbone.weights import pretrained
from trainer.detector_protocol import Detector, FitInput, Fitted, OnProgress, Recipe, Served
from trainer.detectors.bgad.flow import FlowShape, NormalizingFlow
from trainer.detectors.bgad.levels import Levels, LevelShape
from trainer.detectors.bgad.profile import BgadScoring, profile_named
from trainer.detectors.bgad.served import BgadServed
from trainer.detectors.bgad.training import BgadTraining
from trainer.detectors.profiles import with_overrides
from trainer.detectors.recipe import check_bank, check_grid, checkpoints_of, grid_in_recipe, training_recipe
from trainer.pseudo.recipe import BankRecipe

GRID = 16  # both sides are multiples of this


class Bgad(Detector):
    """Boundary-guided semi-push-pull (CVPR 2023, arXiv 2207.01463) on the installed EfficientNet-Lite0.

    Without known defects it is a plain flow over normals. A known defect without a mask is assumed to lie
    where the flow of the normals finds its picture most unlikely. BGAD is not trained to withstand attacks.
    """

    def __init__(self, levels: type[Levels] = Levels) -> None:
        """``levels`` computes a training's features; a test passes a subclass that records its input."""
        self._levels = levels

    @override
    def bank_recipe(self, profile: str) -> BankRecipe:
        return profile_named(profile).bank

    @override
    def fit(self, given: FitInput, progress: OnProgress, checkpoint: Path | None) -> Fitted:
        check_grid(given, "bgad", GRID)
        check_bank(given)
        _check_known(given)
        profile = with_overrides(profile_named(given.profile), given.overrides)
        schedule = profile.schedule
        if given.steps is not None:
            pushes = max(1, round(schedule.pushes * given.steps / schedule.steps))
            schedule = replace(schedule, steps=given.steps, pushes=pushes)
        profile = replace(profile, schedule=schedule)
        recipe = training_recipe(given, "bgad", profile, schedule.steps)
        training = BgadTraining(given, profile, self._levels(pretrained(), profile.levels))
        served = training.run(checkpoints_of(checkpoint, given, recipe), progress)
        return Fitted(served, recipe, training.figures())

    @override
    def rebuild(self, recipe: Recipe, weights: Mapping[str, Tensor]) -> Served:
        try:
            numbers: Any = recipe["numbers"]
            lists = {name: tuple(numbers["levels"][name]) for name in ("stages", "scales")}
            shape = LevelShape(**{**numbers["levels"], **lists})
            sizes = shape.sizes(*grid_in_recipe(recipe))
            flows = nn.ModuleList(
                NormalizingFlow(width, size, FlowShape(**numbers["flow"]), seed=0)
                for width, size in zip(shape.channels(), sizes, strict=True)
            )
            served = BgadServed(Levels(Lite0(), shape), flows, sizes, BgadScoring(**numbers["scoring"]))
            served.load_state_dict(dict(weights))
        except (KeyError, TypeError, ValueError, IndexError, RuntimeError) as error:
            raise PackageRejected(f"recipe and weights of a bgad model do not fit: {error}") from error
        return served.eval()


def _check_known(given: FitInput) -> None:
    known = given.known_defects
    if known is None:
        return
    if known.pictures.shape[1:] != given.normals.shape[1:] or len(known.masks) != len(known.pictures):
        raise InvalidConfiguration(
            f"known defects are {known.pictures.shape} with {len(known.masks)} masks; the normals are "
            f"{given.normals.shape}"
        )
