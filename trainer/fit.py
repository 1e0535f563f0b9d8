"""Train from normals to a served module; a folder and a line use the same code."""

import time
from dataclasses import dataclass, field
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load, save

from steadyline.errors import InvalidConfiguration, PackageRejected
from steadyline.line import DEFAULT_DETECTOR
from trainer.arrays import KnownDefects, Masks, Pictures, PseudoBank
from trainer.crops.bank import make_crop_bank
from trainer.detector_protocol import FitInput, OnProgress, Overrides, Recipe, Served
from trainer.detectors.registry import detector_named
from trainer.pseudo.bank import MadeBank, make_bank
from trainer.pseudo.entry import in_memory


@dataclass(frozen=True, slots=True)
class FitSettings:
    """What to train.

    ``steps`` overrides the number in the profile, and ``overrides`` changes single numbers of it.
    ``known_defects``, for detectors that use them, have the size of the normals.
    """

    detector: str = DEFAULT_DETECTOR
    profile: str = "cpu"
    seed: int = 0
    steps: int | None = None
    overrides: Overrides = field(default_factory=dict)
    known_defects: KnownDefects | None = None


@dataclass(frozen=True, slots=True)
class Trained:
    """A served module in eval mode, its recipe, figures without labels, and the seconds it took."""

    module: Served
    recipe: Recipe
    figures: dict[str, float]
    seconds: float

    def weights(self) -> bytes:
        """Return the module's tensors as safetensors."""
        return save({name: value.contiguous() for name, value in self.module.state_dict().items()})


def make_pseudo_anomalies(
    normals: Pictures,
    settings: FitSettings,
    held_out: Masks | None = None,
    progress: OnProgress | None = None,
) -> MadeBank:
    """Return the bank of normals (N, H, W, C); the same normals, settings and marks give the same bank.

    Where the recipe has crops and the pictures are large enough, it holds crops of the normals that are
    trained on, and whole pictures of those ``held_out`` (N,).
    Raises InvalidConfiguration when there are too few normals or when the profile is unknown.
    """
    recipe = detector_named(settings.detector).bank_recipe(settings.profile)
    if len(normals) < 2:
        raise InvalidConfiguration(f"{len(normals)} normals are too few to make a bank of")

    def on_progress(done: int, of: int) -> None:
        if progress is not None:
            progress(done, of, "pseudo-anomalies")

    make = make_bank if recipe.crops_of(*normals.shape[1:3]) is None else make_crop_bank
    return make(normals, recipe, settings.seed, held_out, on_progress)


def train(
    normals: Pictures,
    bank: PseudoBank,
    settings: FitSettings,
    progress: OnProgress,
    checkpoint: Path | None = None,
) -> Trained:
    """Train on normals (N, H, W, C) and their bank, resuming from the newest checkpoint in ``checkpoint``.

    The same input on the same number of threads gives the same weights, whether killed on the way or not.
    Raises InvalidConfiguration when the input cannot be trained on.
    """
    began = time.monotonic()
    given = FitInput(
        normals=normals,
        bank=bank,
        profile=settings.profile,
        seed=settings.seed,
        steps=settings.steps,
        known_defects=settings.known_defects,
        overrides=settings.overrides,
    )
    fitted = detector_named(settings.detector).fit(given, progress, checkpoint)
    return Trained(fitted.module, fitted.recipe, fitted.figures, time.monotonic() - began)


def fit(
    normals: Pictures, settings: FitSettings, progress: OnProgress, checkpoint: Path | None = None
) -> tuple[Trained, MadeBank]:
    """Make the bank and train on all of ``normals``."""
    made = make_pseudo_anomalies(normals, settings, progress=progress)
    return train(normals, in_memory(made), settings, progress, checkpoint), made


def rebuild(recipe: Recipe, weights: bytes) -> Served:
    """Return the served module of a recipe and its safetensors; raises PackageRejected if they do not fit."""
    try:
        tensors = load(weights)
    except (SafetensorError, ValueError) as error:
        raise PackageRejected(f"the weights are no safetensors: {error}") from error
    return detector_named(str(recipe.get("detector"))).rebuild(recipe, tensors)
