"""Robust as a ``Detector``: train it, and build it again from a package."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from steadyline.errors import PackageRejected
from trainer.adversarial.batch import Variation
from trainer.adversarial.network import CellNetwork, NetworkShape
from trainer.adversarial.schedule import here
from trainer.adversarial.training import AdversarialTraining, TrainingPlan
from trainer.detector_protocol import Detector, FitInput, Fitted, OnProgress, Recipe, Served
from trainer.detectors.profiles import with_overrides
from trainer.detectors.recipe import check_input, checkpoints_of, training_recipe
from trainer.detectors.robust.objective import RobustObjective
from trainer.detectors.robust.profile import profile_named
from trainer.detectors.robust.served import RobustServed
from trainer.pseudo.recipe import BankRecipe


class Robust(Detector):
    """A small net learns under attack which cells of pseudo-anomalies are defective.

    It has no global head, because a global head's share of the score breaks first under attack. Known defects
    are not used.
    """

    @override
    def bank_recipe(self, profile: str) -> BankRecipe:
        return profile_named(profile).bank

    @override
    def fit(self, given: FitInput, progress: OnProgress, checkpoint: Path | None) -> Fitted:
        check_input(given, "robust")
        profile = with_overrides(profile_named(given.profile), given.overrides)
        schedule = here(profile.schedule)
        profile = replace(profile, schedule=schedule)
        steps = schedule.steps if given.steps is None else given.steps
        recipe = training_recipe(given, "robust", profile, steps)
        checkpoints = checkpoints_of(checkpoint, given, recipe)
        torch.manual_seed(given.seed)
        network = CellNetwork(profile.shape, given.normals.shape[3])
        plan = TrainingPlan(schedule, Variation(profile.light, profile.shift), steps, given.seed)
        training = AdversarialTraining(given, plan, network, RobustObjective(profile))
        trained = training.run(checkpoints, progress)
        assert isinstance(trained, RobustServed)
        served = RobustServed(trained.network, profile.flips, profile.sharpness)
        return Fitted(served.eval(), recipe, training.figures())

    @override
    def rebuild(self, recipe: Recipe, weights: Mapping[str, Tensor]) -> Served:
        try:
            numbers: Any = recipe["numbers"]
            shape = NetworkShape(**{**numbers["shape"], "blocks": tuple(numbers["shape"]["blocks"])})
            channels: Any = recipe["channels"]
            network = CellNetwork(shape, int(channels))
            served = RobustServed(network, int(numbers["flips"]), float(numbers["sharpness"]))
            served.load_state_dict(dict(weights))
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise PackageRejected(f"recipe and weights of a robust model do not fit: {error}") from error
        return served.eval()
