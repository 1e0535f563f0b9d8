"""COBRA as a ``Detector``: train it, and build it again from a package."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from steadyline.errors import InvalidConfiguration, PackageRejected
from trainer.adversarial.batch import Variation
from trainer.adversarial.model_selection import as_floats
from trainer.adversarial.network import NetworkShape
from trainer.adversarial.schedule import here
from trainer.adversarial.training import AdversarialTraining, Material, TrainingPlan, whole_pictures
from trainer.crops.material import check_overrides, crop_material
from trainer.crops.serve import DenseAnswer, DenseScore, dense_answer
from trainer.detector_protocol import Detector, FitInput, Fitted, OnProgress, Recipe, Served
from trainer.detectors.cobra.copies import Classes
from trainer.detectors.cobra.network import Network
from trainer.detectors.cobra.objective import CobraObjective
from trainer.detectors.cobra.profile import CobraProfile, CobraScoring, overridden, profile_named
from trainer.detectors.cobra.served import CobraServed
from trainer.detectors.recipe import check_input, checkpoints_of, training_recipe
from trainer.pseudo.recipe import BankRecipe

# Crops of normals that fill the memory: with 256 cells each in four flips, MEMORY_ROWS are drawn from them.
REMEMBERED = 256


class Cobra(Detector):
    """Train under attack on pairs of a normal and its own pseudo-anomaly (arXiv 2501.15434).

    It does not use known defects: its training must not need them.
    """

    @override
    def bank_recipe(self, profile: str) -> BankRecipe:
        return profile_named(profile).bank

    @override
    def fit(self, given: FitInput, progress: OnProgress, checkpoint: Path | None) -> Fitted:
        profile = overridden(profile_named(given.profile), given.overrides)
        check_input(given, "cobra", profile.shape.side_of)
        check_overrides(given)
        in_crops = given.bank.corner is not None
        _check_shape(given, profile)
        schedule = here(profile.crops.schedule(profile.schedule) if in_crops else profile.schedule)
        profile = replace(profile, schedule=schedule)
        steps = schedule.steps if given.steps is None else given.steps
        recipe = training_recipe(given, "cobra", profile, steps)
        checkpoints = checkpoints_of(checkpoint, given, recipe)
        torch.manual_seed(given.seed)
        network = Network(profile.shape, given.normals.shape[3], profile.embedding, profile.classes)
        plan = TrainingPlan(schedule, steps, given.seed, profile.rows_per_pair)
        material, remembered = _material(given, network, profile)
        objective = CobraObjective(profile, remembered, given.seed, in_crops)
        training = AdversarialTraining(material, plan, network, objective)
        trained = training.run(checkpoints, progress)
        assert isinstance(trained, CobraServed)
        figures = training.figures()
        if in_crops:
            trained.dense, explained = dense_answer(trained.maps_of(given.normals), profile.crops.top)
            recipe |= {"crops": trained.dense.of.as_recipe()}
            figures |= {"place_explains": explained}
        return Fitted(trained, recipe, figures)

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
            dense = DenseScore.of_recipe(recipe.get("crops"))
            served.dense = None if dense is None else DenseAnswer(dense)
            served.load_state_dict(dict(weights))
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise PackageRejected(f"recipe and weights of a cobra model do not fit: {error}") from error
        for parameter in served.parameters():
            parameter.requires_grad_(False)
        return served.eval()


def _check_shape(given: FitInput, profile: CobraProfile) -> None:
    """Raise InvalidConfiguration where copies of a picture cannot be scored as the profile says."""
    _, height, width, _ = given.normals.shape
    if profile.classes == 4 and height != width:
        raise InvalidConfiguration(
            f"classes=4 turns pictures by a quarter, and these are {height} x {width}: take classes=2"
        )
    if given.bank.corner is not None and (profile.classes == 4 or profile.score.shifted):
        raise InvalidConfiguration(
            "classes=4 and score.shifted score copies of whole pictures, and these are trained on in crops: "
            "take the profile cpu-whole, or classes=2 and score.shifted=False"
        )


def _material(given: FitInput, network: Network, profile: CobraProfile) -> tuple[Material, Tensor]:
    """Return the material, and the normals or crops of normals (K, C, h, w) that fill the memory."""
    crops = profile.bank.crops
    if given.bank.corner is None or crops is None:
        return whole_pictures(given, network, Variation(profile.light)), as_floats(given.normals)
    found = crop_material(given, network, profile.light, crops.aside, REMEMBERED)
    return found.material, as_floats(found.normals)
