"""DAF as a ``Detector``: train it, and build it again from a package."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from steadyline.errors import PackageRejected
from trainer.backbone.lite import Lite0, trimmed
from trainer.backbone.weights import pretrained
from trainer.detector_protocol import Detector, FitInput, Fitted, OnProgress, Recipe, Served
from trainer.detectors.daf.network import DafShape, Learner, Teacher
from trainer.detectors.daf.profile import DafScoring, profile_named
from trainer.detectors.daf.served import DafServed
from trainer.detectors.daf.training import DafTraining
from trainer.detectors.profiles import with_overrides
from trainer.detectors.recipe import check_bank, check_grid, checkpoints_of, grid_in_recipe, training_recipe
from trainer.learning.precision import is_native
from trainer.pseudo.recipe import BankRecipe

GRID = 16  # both sides are multiples of this: the coarsest stage has cells of so many pixels


class Daf(Detector):
    """The discrepancy-aware framework (arXiv 2310.07585) locates defects; it does not withstand attacks.

    The paper's teacher is a ResNet-18; ours is the installed EfficientNet-Lite0. Known defects are not used.
    """

    @override
    def bank_recipe(self, profile: str) -> BankRecipe:
        return profile_named(profile).bank

    @override
    def fit(self, given: FitInput, progress: OnProgress, checkpoint: Path | None) -> Fitted:
        check_grid(given, "daf", GRID)
        check_bank(given)
        profile = with_overrides(profile_named(given.profile), given.overrides)
        schedule = profile.schedule
        steps = schedule.steps if given.steps is None else given.steps
        profile = replace(
            profile, schedule=replace(schedule, mixed=schedule.mixed and is_native(), steps=steps)
        )
        recipe = training_recipe(given, "daf", profile, steps)
        checkpoints = checkpoints_of(checkpoint, given, recipe)
        shape = profile.shape
        teacher = Teacher(trimmed(pretrained(), max(shape.stages)), shape)
        # Seed after the teacher: reading it for the first time makes a network, which draws random numbers.
        torch.manual_seed(given.seed)
        training = DafTraining(given, profile, (teacher, Learner(shape, given.normals.shape[3])))
        served = training.run(checkpoints, progress)
        return Fitted(served, recipe, training.figures())

    @override
    def rebuild(self, recipe: Recipe, weights: Mapping[str, Tensor]) -> Served:
        try:
            numbers: Any = recipe["numbers"]
            shape = DafShape(**{**numbers["shape"], "stages": tuple(numbers["shape"]["stages"])})
            channels: Any = recipe["channels"]
            teacher = Teacher(trimmed(Lite0(), max(shape.stages)), shape)
            scoring = DafScoring(**numbers["scoring"])
            served = DafServed(teacher, Learner(shape, int(channels)), scoring, grid_in_recipe(recipe))
            served.load_state_dict(dict(weights))
        except (KeyError, TypeError, ValueError, IndexError, RuntimeError) as error:
            raise PackageRejected(f"recipe and weights of a daf model do not fit: {error}") from error
        return served.eval()
