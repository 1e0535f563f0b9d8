"""Patch as a ``Detector``: fit it, and build it again from a package."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from torch import Tensor
from typing_extensions import override

from steadyline.errors import InvalidConfiguration, PackageRejected
from trainer.backbone.choice import check_backbone, chosen_backbone, empty_backbone
from trainer.backbone.features import COARSE, FINE
from trainer.detector_protocol import Detector, FitInput, Fitted, OnProgress, Recipe, Served
from trainer.detectors.patch.fitting import PatchFitting
from trainer.detectors.patch.gaussian import PlaceGaussians, PlaceSquares
from trainer.detectors.patch.nearest import NearestPatches
from trainer.detectors.patch.profile import Judgement, profile_named
from trainer.detectors.patch.served import PatchServed
from trainer.detectors.profiles import with_overrides
from trainer.detectors.recipe import FEWEST_NORMALS, check_grid, training_recipe
from trainer.pseudo.recipe import BankRecipe


class Patch(Detector):
    """Distances of frozen features to those of normals (PatchCore, CVPR 2022; PaDiM, 2021), at any grid.

    It learns nothing from pseudo-anomalies or known defects and does not withstand attacks. Normals are also
    seen in other light, with noise, out of focus and coded, so that it does not alarm there. It is fitted in
    one pass that takes seconds to minutes; there is no checkpoint, and a fit that was killed starts again.
    """

    @override
    def bank_recipe(self, profile: str) -> BankRecipe:
        return profile_named(profile).bank

    @override
    def fit(self, given: FitInput, progress: OnProgress, checkpoint: Path | None) -> Fitted:
        profile = with_overrides(profile_named(given.profile), given.overrides)
        _check(given, profile.judged)
        backbone, identity = chosen_backbone(profile.backbone)
        fitting = PatchFitting(profile, given.seed, lambda done, of: progress(done, of, "normals"))
        module = fitting.fit(backbone, given.normals)
        recipe = training_recipe(given, "patch", profile, 1)
        height, width = given.normals.shape[1:3]
        numbers: Any = recipe["numbers"]
        numbers["backbone"] = identity.as_json()
        numbers["fitted"] = {"height": height, "width": width, **_shape_of(module)}
        return Fitted(module, recipe, _figures(module))

    @override
    def rebuild(self, recipe: Recipe, weights: Mapping[str, Tensor]) -> Served:
        try:
            numbers: Any = recipe["numbers"]
            module = _empty(numbers)
            module.load_state_dict(dict(weights))
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise PackageRejected(f"recipe and weights of a patch model do not fit: {error}") from error
        check_backbone(module.backbone, numbers["backbone"])
        return module.eval()


def _check(given: FitInput, judged: str) -> None:
    if judged not in get_args(Judgement):
        raise InvalidConfiguration(f"patch judges by {', '.join(get_args(Judgement))}, not by {judged!r}")
    count = len(given.normals)
    if count < FEWEST_NORMALS:
        raise InvalidConfiguration(
            f"{count} normals are too few to compare with: {FEWEST_NORMALS} are needed"
        )
    check_grid(given, "patch", COARSE)


def _shape_of(module: PatchServed) -> dict[str, int]:
    """Return what the shapes of a module's tensors are made from."""
    found: dict[str, int] = {}
    if module.nearest is not None:
        found["memory"] = module.nearest.memory.shape[1]
    if module.gaussian is not None:
        found["square"], found["dimensions"] = module.gaussian.squares.side, len(module.gaussian.used)
    return found


def _empty(numbers: Any) -> PatchServed:
    """Return the module of a recipe's numbers, to be filled."""
    backbone, fitted = empty_backbone(numbers["backbone"]), numbers["fitted"]
    nearest = gaussian = None
    if "memory" in fitted:
        chunk = int(numbers["nearest"]["chunk"])
        nearest = NearestPatches(sum(backbone.channels), int(fitted["memory"]), chunk)
    if "square" in fitted:
        squares = PlaceSquares(fitted["height"] // FINE, fitted["width"] // FINE, int(fitted["square"]))
        gaussian = PlaceGaussians(squares, int(fitted["dimensions"]))
    return PatchServed(backbone, nearest, gaussian, numbers["judged"])


def _figures(module: PatchServed) -> dict[str, float]:
    """Return how much a fit keeps of the normals: patches, and bytes of the memory and of the Gaussians."""
    kept = [part for part in (module.nearest, module.gaussian) if part is not None]
    tensors = [tensor for part in kept for tensor in part.state_dict().values()]
    patches = 0 if module.nearest is None else module.nearest.memory.shape[1]
    return {
        "memory_patches": float(patches),
        "memory_bytes": float(sum(tensor.numel() * tensor.element_size() for tensor in tensors)),
    }
