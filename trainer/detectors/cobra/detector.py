"""COBRA as a detector."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor
from typing_extensions import override

from steadyline.errors import InvalidConfiguration, PackageRejected
from trainer.checkpoint import Checkpoints
from trainer.detectors.cobra.precision import is_native
from trainer.detectors.cobra.profile import Profile, Score, Shape, profile_named, with_overrides
from trainer.detectors.cobra.served import CobraServed
from trainer.detectors.cobra.training import Plan, Training
from trainer.detectors.protocol import Detector, FitInput, Fitted, Progress, Recipe, Served
from trainer.pseudo.recipe import BankRecipe

FEWEST_NORMALS = 8
SIDE_OF = 32  # the net halves the side five times, or twice and three times more in its top-down part


class Cobra(Detector):
    """Opposite pairs of a normal and its own pseudo-anomaly (arXiv 2501.15434), trained under attack.

    Known defects are not used: the training must not need them.
    """

    @override
    def bank_recipe(self, profile: str) -> BankRecipe:
        return profile_named(profile).bank

    @override
    def fit(self, given: FitInput, progress: Progress, checkpoint: Path | None) -> Fitted:
        _check(given)
        profile = with_overrides(profile_named(given.profile), given.overrides)
        profile = replace(profile, mixed=profile.mixed and is_native())
        plan = Plan(profile, profile.steps if given.steps is None else given.steps, given.seed)
        recipe = _recipe(given, plan)
        checkpoints = None if checkpoint is None else Checkpoints(checkpoint, _key(given, recipe))
        training = Training(given, plan)
        return Fitted(training.run(checkpoints, progress), recipe, training.figures())

    @override
    def rebuild(self, recipe: Recipe, weights: Mapping[str, Tensor]) -> Served:
        try:
            numbers: Any = recipe["numbers"]
            shape = {**numbers["shape"], "blocks": tuple(numbers["shape"]["blocks"])}
            channels: Any = recipe["channels"]
            served = CobraServed(Shape(**shape), Score(**numbers["score"]), int(channels))
            served.load_state_dict(dict(weights))
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise PackageRejected(f"recipe and weights of a cobra model do not fit: {error}") from error
        for parameter in served.parameters():
            parameter.requires_grad_(False)
        return served.eval()


def _check(given: FitInput) -> None:
    count, height, width, channels = given.normals.shape
    if count < FEWEST_NORMALS:
        raise InvalidConfiguration(f"{count} normals are too few to train on: {FEWEST_NORMALS} are needed")
    if height != width or height % SIDE_OF or channels not in (1, 3):
        raise InvalidConfiguration(
            f"cobra takes square pictures whose side is a multiple of {SIDE_OF}, with 1 or 3 channels; "
            f"these are {height} x {width} with {channels}"
        )
    if not len(given.bank.source):
        raise InvalidConfiguration("the bank has no pseudo-anomaly of these normals")


def _recipe(given: FitInput, plan: Plan) -> Recipe:
    """Everything that makes the model again, and all that rebuilding it needs."""
    recipe: Recipe = {
        "detector": "cobra",
        "profile": given.profile,
        "seed": plan.seed,
        "steps": plan.steps,
        "size": given.normals.shape[1],
        "channels": given.normals.shape[3],
        "numbers": json.loads(json.dumps(_numbers(plan.profile))),
    }
    return recipe


def _numbers(profile: Profile) -> dict[str, object]:
    numbers = asdict(profile)
    numbers["bank"] = profile.bank.parameters()
    return numbers


def _key(given: FitInput, recipe: Recipe) -> str:
    """Name a training by all that its weights depend on."""
    total = hashlib.sha256(json.dumps(recipe, sort_keys=True).encode())
    for array in (given.normals, given.bank.pictures, given.bank.masks, given.bank.source):
        total.update(np.ascontiguousarray(array).tobytes())
    return total.hexdigest()
