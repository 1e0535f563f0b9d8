"""COBRA as a ``Detector``: train it, and build it again from a package."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from steadyline.errors import PackageRejected
from trainer.adversarial.batch import Variation
from trainer.adversarial.network import NetworkShape
from trainer.adversarial.schedule import here
from trainer.adversarial.training import AdversarialTraining, TrainingPlan
from trainer.detector_protocol import Detector, FitInput, Fitted, OnProgress, Recipe, Served
from trainer.detectors.cobra.copies import Classes
from trainer.detectors.cobra.network import Network
from trainer.detectors.cobra.objective import CobraObjective
from trainer.detectors.cobra.profile import CobraScoring, overridden, profile_named
from trainer.detectors.cobra.served import CobraServed
from trainer.detectors.recipe import check_input, checkpoints_of, training_recipe
from trainer.pseudo.recipe import BankRecipe


class Cobra(Detector):
    """Train under attack on pairs of a normal and its own pseudo-anomaly (arXiv 2501.15434).

    It does not use known defects: its training must not need them.
    """

    @override
    def bank_recipe(self, profile: str) -> BankRecipe:
        return profile_named(profile).bank

    @override
    def fit(self, given: FitInput, progress: OnProgress, checkpoint: Path | None) -> Fitted:
        check_input(given, "cobra")
        profile = overridden(profile_named(given.profile), given.overrides)
        schedule = here(profile.schedule)
        profile = replace(profile, schedule=schedule)
        steps = schedule.steps if given.steps is None else given.steps
        recipe = training_recipe(given, "cobra", profile, steps)
        checkpoints = checkpoints_of(checkpoint, given, recipe)
        torch.manual_seed(given.seed)
        normals = torch.from_numpy(given.normals).permute(0, 3, 1, 2).float() / 255
        network = Network(profile.shape, normals.shape[1], profile.embedding, profile.classes)
        plan = TrainingPlan(schedule, Variation(profile.light), steps, given.seed, profile.rows_per_pair)
        training = AdversarialTraining(given, plan, network, CobraObjective(profile, normals, given.seed))
        return Fitted(training.run(checkpoints, progress), recipe, training.figures())

    @override
    def rebuild(self, recipe: Recipe, weights: Mapping[str, Tensor]) -> Served:
        try:
            numbers: Any = recipe["numbers"]
            shape = {**numbers["shape"], "blocks": tuple(numbers["shape"]["blocks"])}
            channels: Any = recipe["channels"]
            score = CobraScoring(**numbers["score"])
            classes: Classes = 4 if numbers.get("classes") == 4 else 2
            served = CobraServed(
                NetworkShape(**shape), int(numbers["embedding"]), score, int(channels), classes
            )
            served.load_state_dict(dict(weights))
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise PackageRejected(f"recipe and weights of a cobra model do not fit: {error}") from error
        for parameter in served.parameters():
            parameter.requires_grad_(False)
        return served.eval()
