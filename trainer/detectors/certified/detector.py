"""The certified distance as a ``Detector``: it is fitted in seconds, and its bounds hold for any attack."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from steadyline.errors import InvalidConfiguration, PackageRejected
from trainer.detector_protocol import Detector, FitInput, Fitted, OnProgress, Recipe, Served
from trainer.detectors.certified.patches import cover, leave_one_out, patches_by_place, views
from trainer.detectors.certified.profile import CertifiedProfile, profile_named
from trainer.detectors.certified.served import CertifiedServed
from trainer.pseudo.recipe import BankRecipe

FEWEST_NORMALS = 8


class Certified(Detector):
    """Distance to the nearest normal patch at the same place, 1-Lipschitz in the largest change of a pixel.

    It learns nothing from pseudo-anomalies or known defects, and does not depend on the seed.
    """

    @override
    def bank_recipe(self, profile: str) -> BankRecipe:
        return profile_named(profile).bank

    @override
    def fit(self, given: FitInput, progress: OnProgress, checkpoint: Path | None) -> Fitted:
        profile = profile_named(given.profile)
        if given.overrides:
            raise InvalidConfiguration(
                f"certified has no number {', '.join(sorted(given.overrides))} to change"
            )
        _check(given, profile)
        normals = torch.from_numpy(given.normals).permute(0, 3, 1, 2).float() / 255
        found = patches_by_place(views(normals, profile.gains), profile.patch, profile.stride)
        size = min(profile.memory, found.shape[1])
        chosen = cover(found, size, lambda done, of: progress(done, of, "places"))
        memory = found.gather(1, chosen[:, :, None].expand(-1, -1, found.shape[2]))
        own = patches_by_place(normals, profile.patch, profile.stride)
        left_out = leave_one_out(own, memory, chosen % len(normals), profile.tolerance)
        module = _module(given.normals.shape[1], profile, (memory.shape[2], size))
        module.memory.copy_(memory.permute(2, 0, 1))
        module.usual.copy_(torch.quantile(left_out, profile.usual, dim=1))
        recipe: Recipe = {
            "detector": "certified",
            "profile": given.profile,
            "size": given.normals.shape[1],
            "channels": given.normals.shape[3],
            "numbers": {**_numbers(profile), "memory": size},
        }
        return Fitted(module.eval(), recipe, {"places": float(len(own)), "memory": float(size)})

    @override
    def rebuild(self, recipe: Recipe, weights: Mapping[str, Tensor]) -> Served:
        try:
            numbers: Any = recipe["numbers"]
            pixels, _, kept = weights["memory"].shape
            profile = CertifiedProfile(
                **{**numbers, "bank": self.bank_recipe("cpu"), "gains": tuple(numbers["gains"])}
            )
            side: Any = recipe["size"]
            served = _module(int(side), profile, (pixels, kept))
            served.load_state_dict(dict(weights))
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise PackageRejected(f"recipe and weights of a certified model do not fit: {error}") from error
        return served.eval()


def _module(side: int, profile: CertifiedProfile, shape: tuple[int, int]) -> CertifiedServed:
    return CertifiedServed((side, profile.patch, profile.stride), profile.tolerance, shape)


def _numbers(profile: CertifiedProfile) -> dict[str, Any]:
    numbers = asdict(profile)
    del numbers["bank"]
    return {**numbers, "gains": list(profile.gains)}


def _check(given: FitInput, profile: CertifiedProfile) -> None:
    count, height, width, channels = given.normals.shape
    if count < FEWEST_NORMALS:
        raise InvalidConfiguration(
            f"{count} normals are too few to compare with: {FEWEST_NORMALS} are needed"
        )
    if height != width or height < profile.patch or channels not in (1, 3):
        raise InvalidConfiguration(
            f"certified takes square pictures of at least {profile.patch} pixels with 1 or 3 channels; "
            f"these are {height} x {width} with {channels}"
        )
