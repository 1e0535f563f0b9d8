"""Fit both distances to normals: a memory of patches, a Gaussian of each place, and the units of both."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from trainer.arrays import Pictures
from trainer.backbone.features import FrozenFeatures
from trainer.detectors.patch.gaussian import Moments, PlaceGaussians, PlaceSquares
from trainer.detectors.patch.nearest import NearestPatches, cover
from trainer.detectors.patch.profile import PatchProfile
from trainer.detectors.patch.served import PatchServed
from trainer.detectors.units import held_aside, units_of
from trainer.learning.vary import views

AT_ONCE_PIXELS = 1 << 19  # of the pictures whose features are computed at once; 150 MB of activations

ReportDone = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class PatchFitting:
    """One fit; the same normals, profile and seed give the same module."""

    profile: PatchProfile
    seed: int
    on_progress: ReportDone

    def fit(self, backbone: FrozenFeatures, normals: Pictures) -> PatchServed:
        """Return the module fitted to normals (N, H, W, C), of which some are held aside for the units."""
        aside = held_aside(len(normals), self.seed)
        nearest, gaussian = self._distances(backbone, normals[~aside])
        judged = self.profile.judged
        module = PatchServed(
            backbone,
            None if judged == "gaussian" else nearest,
            None if judged == "nearest" else gaussian,
            judged,
        ).eval()
        self._learn_units(module, normals[aside])
        return module

    def _distances(
        self, backbone: FrozenFeatures, normals: Pictures
    ) -> tuple[NearestPatches, PlaceGaussians]:
        numbers, seen = self.profile.gaussian, len(normals) * (self.profile.vary.copies + 1)
        random = torch.Generator().manual_seed(self.seed)
        width = sum(backbone.channels)
        used = torch.randperm(width, generator=random)[: numbers.dimensions].sort()[0]
        moments: Moments | None = None
        drawn: list[Tensor] = []
        each = -(-self.profile.nearest.seen // seen)
        done, at_once = 0, batch_of(normals)
        for part, _ in views(normals, self.profile.vary, self.seed, at_once):
            features = features_of(backbone, part)
            if moments is None:
                moments = Moments(PlaceSquares.of(features.shape[2], features.shape[3], seen, numbers), used)
            moments.add(features)
            drawn += [_some(one, each, random) for one in features]
            done += len(part)
            self.on_progress(done, seen)
        assert moments is not None, "there are normals"
        patches = torch.cat(drawn)[: self.profile.nearest.seen]
        kept = cover(patches, self.profile.nearest.memory, random)
        nearest = NearestPatches(width, len(kept), self.profile.nearest.chunk)
        nearest.remember(kept)
        return nearest, moments.fitted(numbers.ridge)

    def _learn_units(self, module: PatchServed, aside: Pictures) -> None:
        found: list[list[Tensor]] = []
        with torch.inference_mode():
            for start in range(0, len(aside), batch_of(aside)):
                x = as_floats(aside[start : start + batch_of(aside)])
                found.append([distance.amax((1, 2)) for distance in module.distances(x)])
        judged = self.profile.judged
        places = {"nearest": [0], "gaussian": [1]}.get(judged, [0, 1])
        for place, scores in zip(places, zip(*found, strict=True), strict=True):
            centre, spread = units_of(torch.cat(scores).numpy())
            module.centre[place], module.spread[place] = centre, spread


def batch_of(pictures: Pictures) -> int:
    """Return how many pictures (N, H, W, C) have their features computed at once."""
    pixels = int(pictures.shape[1]) * int(pictures.shape[2])
    return max(1, min(16, AT_ONCE_PIXELS // pixels))


def features_of(backbone: FrozenFeatures, pictures: Pictures) -> Tensor:
    """Return the features (B, F, h, w) of pictures (B, H, W, C) uint8."""
    with torch.inference_mode():
        found: Tensor = backbone(as_floats(pictures))
    return found.clone()


def as_floats(pictures: Pictures) -> Tensor:
    """Return pictures (B, H, W, C) uint8 as (B, C, H, W) in [0, 1]."""
    return torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float() / 255


def _some(features: Tensor, count: int, random: torch.Generator) -> Tensor:
    """Return ``count`` patches (count, F) of one picture's features (F, h, w), at places drawn at random."""
    patches = features.flatten(1).T
    return patches[torch.randperm(len(patches), generator=random)[:count]].clone()
