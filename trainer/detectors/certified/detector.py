"""The certified distance as a ``Detector``: it is fitted in seconds, and its bounds hold for any attack."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from typing_extensions import override

from steadyline.errors import InvalidConfiguration, PackageRejected
from steadyline.grid import Grid
from trainer.arrays import Pictures
from trainer.detector_protocol import Detector, FitInput, Fitted, OnProgress, Recipe, Served
from trainer.detectors.certified.layout import Layout
from trainer.detectors.certified.patches import cover, leave_one_out, patches_by_place, pooled, views
from trainer.detectors.certified.profile import CertifiedProfile, profile_named
from trainer.detectors.certified.served import CertifiedServed
from trainer.detectors.recipe import grid_in_recipe, size_in_recipe
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
        count, height, width, channels = given.normals.shape
        layout = Layout.of(Grid(height, width), profile)
        wanted = layout.kept(channels, profile.memory)
        per_normal = 4 * len(profile.gains)
        chosen = _evenly(count, max(FEWEST_NORMALS, layout.most_views(channels, wanted) // per_normal))
        size = min(wanted, len(chosen) * per_normal)
        module = CertifiedServed(layout, profile.tolerance, (channels * layout.patch**2, size))
        normals = _means(given.normals, layout.pool)
        for row in range(layout.places.height):
            _fit_row(module, (normals, torch.from_numpy(chosen)), (layout, profile), row)
            progress(row + 1, layout.places.height, "places")
        numbers = {**_numbers(profile), "memory": size}
        recipe: Recipe = {
            "detector": "certified",
            "profile": given.profile,
            **size_in_recipe(given),
            "channels": channels,
            "numbers": numbers if layout.pool == 1 else {**numbers, "pool": layout.pool},
        }
        return Fitted(module.eval(), recipe, {"places": float(layout.places.pixels), "memory": float(size)})

    @override
    def rebuild(self, recipe: Recipe, weights: Mapping[str, Tensor]) -> Served:
        try:
            numbers: Any = recipe["numbers"]
            pixels, _, kept = weights["memory"].shape
            layout = Layout(
                grid_in_recipe(recipe),
                int(numbers["patch"]),
                int(numbers["stride"]),
                int(numbers.get("pool", 1)),
            )
            served = CertifiedServed(layout, float(numbers["tolerance"]), (pixels, kept))
            served.load_state_dict(dict(weights))
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise PackageRejected(f"recipe and weights of a certified model do not fit: {error}") from error
        return served.eval()


def _fit_row(
    module: CertifiedServed, seen: tuple[Tensor, Tensor], how: tuple[Layout, CertifiedProfile], row: int
) -> None:
    """Choose the patches that are kept at the places of one row, and what distance is usual there.

    ``seen`` are the averaged normals (N, C, H, W), and which of them patches are chosen of. One row at a time
    bounds the memory of a fit: all patches of all places would be hundreds of times as large.
    """
    (normals, chosen), (layout, profile) = seen, how
    rows = slice(row * layout.stride, row * layout.stride + layout.patch)
    found = patches_by_place(views(normals[chosen], profile.gains, rows), layout.patch, layout.stride)
    kept = cover(found, module.memory.shape[2])
    memory = found.gather(1, kept[:, :, None].expand(-1, -1, found.shape[2]))
    own = patches_by_place(normals[:, :, rows], layout.patch, layout.stride)
    left_out = leave_one_out(own, memory, chosen[kept % len(chosen)], profile.tolerance)
    at = slice(row * layout.places.width, (row + 1) * layout.places.width)
    module.memory[:, at] = memory.permute(2, 0, 1)
    module.usual[at] = torch.quantile(left_out, profile.usual, dim=1)


def _means(normals: Pictures, pool: int) -> Tensor:
    """Return normals (N, H, W, C) as float32 (N, C, h, w) in [0, 1], averaged one by one."""
    return torch.cat([pooled(_floats(normals[place : place + 1]), pool) for place in range(len(normals))])


def _floats(pictures: Pictures) -> Tensor:
    """Return pictures (N, H, W, C) uint8 as float32 (N, C, H, W) in [0, 1]."""
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255


def _evenly(count: int, most: int) -> NDArray[np.int64]:
    """Return the places of at most ``most`` of ``count``, evenly spread."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(np.int64))


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
    if min(height, width) < profile.patch or channels not in (1, 3):
        raise InvalidConfiguration(
            f"certified takes pictures of at least {profile.patch} pixels a side with 1 or 3 channels; "
            f"these are {height} x {width} with {channels}"
        )
