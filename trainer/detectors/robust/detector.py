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
from trainer.adversarial.training import AdversarialTraining, Material, TrainingPlan, whole_pictures
from trainer.crops.material import check_overrides, crop_material
from trainer.crops.serve import DenseAnswer, DenseScore, dense_answer, maps_of
from trainer.detector_protocol import Detector, FitInput, Fitted, OnProgress, Recipe, Served
from trainer.detectors.profiles import with_overrides
from trainer.detectors.recipe import check_input, checkpoints_of, training_recipe
from trainer.detectors.robust.objective import RobustObjective
from trainer.detectors.robust.profile import RobustProfile, profile_named
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
        profile = with_overrides(profile_named(given.profile), given.overrides)
        check_input(given, "robust", profile.shape.side_of)
        check_overrides(given)
        in_crops = given.bank.corner is not None
        schedule = here(profile.crops.schedule(profile.schedule) if in_crops else profile.schedule)
        profile = replace(profile, schedule=schedule)
        steps = schedule.steps if given.steps is None else given.steps
        recipe = training_recipe(given, "robust", profile, steps)
        checkpoints = checkpoints_of(checkpoint, given, recipe)
        torch.manual_seed(given.seed)
        network = CellNetwork(profile.shape, given.normals.shape[3])
        plan = TrainingPlan(schedule, steps, given.seed)
        objective = RobustObjective(profile, in_crops)
        training = AdversarialTraining(_material(given, network, profile), plan, network, objective)
        trained = training.run(checkpoints, progress)
        assert isinstance(trained, RobustServed)
        figures = training.figures()
        dense = None
        if in_crops:
            dense, explained = dense_answer(maps_of(trained.network, given.normals), profile.crops.top)
            recipe |= {"crops": dense.of.as_recipe()}
            figures |= {"place_explains": explained}
        served = RobustServed(trained.network, profile.flips, profile.sharpness, dense)
        return Fitted(served.eval(), recipe, figures)

    @override
    def rebuild(self, recipe: Recipe, weights: Mapping[str, Tensor]) -> Served:
        try:
            numbers: Any = recipe["numbers"]
            shape = NetworkShape(**{**numbers["shape"], "blocks": tuple(numbers["shape"]["blocks"])})
            channels: Any = recipe["channels"]
            network = CellNetwork(shape, int(channels))
            score = DenseScore.of_recipe(recipe.get("crops"))
            dense = None if score is None else DenseAnswer(score)
            served = RobustServed(network, int(numbers["flips"]), float(numbers["sharpness"]), dense)
            served.load_state_dict(dict(weights))
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise PackageRejected(f"recipe and weights of a robust model do not fit: {error}") from error
        return served.eval()


def _material(given: FitInput, network: CellNetwork, profile: RobustProfile) -> Material:
    crops = profile.bank.crops
    if given.bank.corner is None or crops is None:
        return whole_pictures(given, network, Variation(profile.light, profile.shift))
    return crop_material(given, network, profile.light, crops.aside).material
