"""Helpers that detectors share: check a training's input, write its recipe, and name its checkpoints."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from steadyline.errors import InvalidConfiguration
from steadyline.grid import Grid
from trainer.data.known_defects import known_digest
from trainer.detector_protocol import FitInput, Recipe
from trainer.learning.checkpoint import Checkpoints

FEWEST_NORMALS = 8
_STORED = {"schedule": "course"}  # part of a profile → its name in a recipe, where the two differ
SIDE_OF = 32  # a side is a multiple of this: the net halves it five times


def check_grid(given: FitInput, detector: str, multiple: int) -> None:
    """Raise InvalidConfiguration unless both sides of the pictures are multiples of ``multiple`` pixels."""
    _, height, width, channels = given.normals.shape
    if height % multiple or width % multiple or channels not in (1, 3):
        raise InvalidConfiguration(
            f"{detector} takes pictures whose sides are multiples of {multiple}, with 1 or 3 channels; these "
            f"are {height} x {width} with {channels}"
        )


def check_bank(given: FitInput) -> None:
    """Raise InvalidConfiguration when there are too few normals, or no pseudo-anomalies of them."""
    if len(given.normals) < FEWEST_NORMALS:
        raise InvalidConfiguration(
            f"{len(given.normals)} normals are too few to train on: {FEWEST_NORMALS} are needed"
        )
    if not len(given.bank.source):
        raise InvalidConfiguration("the bank has no pseudo-anomaly of these normals")


def check_input(given: FitInput, detector: str, multiple: int = SIDE_OF) -> None:
    """Raise InvalidConfiguration when ``detector`` cannot be trained on ``given``.

    Sides in pixels are multiples of ``multiple``.
    """
    check_grid(given, detector, multiple)
    check_bank(given)


def checkpoints_of(folder: Path | None, given: FitInput, recipe: Recipe) -> Checkpoints | None:
    """Return a training's checkpoints, keyed by all that its weights depend on; None without ``folder``."""
    return None if folder is None else Checkpoints(folder, _key(given, recipe))


def training_recipe(given: FitInput, detector: str, profile: Any, steps: int) -> Recipe:
    """Return what is needed to rebuild the model; ``profile`` is a dataclass of numbers with a ``bank``.

    Cards in stores and the keys of checkpoints hold the recipe, so its names never change. A training on
    whole pictures depends on no number of crops, and names none.
    """
    numbers = {**asdict(profile), "bank": profile.bank.parameters()}
    if given.bank.corner is None:
        numbers.pop("crops", None)
        numbers["bank"] = {
            name: part for name, part in numbers["bank"].items() if not name.startswith("crops.")
        }
    return {
        "detector": detector,
        "profile": given.profile,
        "seed": given.seed,
        "steps": steps,
        **size_in_recipe(given),
        "channels": given.normals.shape[3],
        "numbers": json.loads(json.dumps({_STORED.get(name, name): part for name, part in numbers.items()})),
    }


def size_in_recipe(given: FitInput) -> Recipe:
    """Return the recipe's ``size``, the height of the input, and its ``width`` where that is another."""
    grid = Grid(*given.normals.shape[1:3])
    return {"size": grid.height} if grid.told_width is None else {"size": grid.height, "width": grid.width}


def grid_in_recipe(recipe: Recipe) -> Grid:
    """Return the grid of the input; raises KeyError or ValueError when the recipe names none."""
    size: Any = recipe["size"]
    width: Any = recipe.get("width", size)
    return Grid(int(size), int(width))


def _key(given: FitInput, recipe: Recipe) -> str:
    total = hashlib.sha256(json.dumps(recipe, sort_keys=True).encode())
    for array in (given.normals, given.bank.pictures, given.bank.masks, given.bank.source):
        total.update(np.ascontiguousarray(array).tobytes())
    if given.known_defects is not None:
        total.update(known_digest(given.known_defects).encode())
    return total.hexdigest()
