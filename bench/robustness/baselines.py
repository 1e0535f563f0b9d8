"""Baselines to compare detectors with: two on frozen features, and one of plain adversarial training.

The nearest patch follows Roth et al., "Towards Total Recall in Industrial Anomaly Detection", CVPR 2022. The
Gaussian of each place follows Defard et al., "PaDiM", ICPR 2021 workshops. Both see the same frozen features
(stages 3 and 5 of the backbone), averaged over 3 x 3 cells as in the former. The third has nothing of our
detectors.
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import override

from bench.robustness.baseline import Baseline, BaselineInput, StoredBaseline, filled
from trainer.adversarial.batch import Variation
from trainer.adversarial.fuse_batchnorm import folded
from trainer.adversarial.network import CellNetwork
from trainer.adversarial.training import AdversarialTraining, TrainingPlan, whole_pictures
from trainer.arrays import Pictures
from trainer.backbone.lite import CHANNELS, STRIDES, as_input
from trainer.backbone.weights import pretrained
from trainer.detector_protocol import FitInput, OnProgress, Served
from trainer.detectors.profiles import with_overrides
from trainer.detectors.recipe import check_input, checkpoints_of, training_recipe
from trainer.detectors.robust.objective import RobustObjective
from trainer.detectors.robust.profile import RobustProfile, profile_named
from trainer.fit import FitSettings, make_pseudo_anomalies
from trainer.pseudo.entry import in_memory

_STAGES = (2, 4)  # the indices of stages 3 and 5
FEATURES = sum(CHANNELS[stage] for stage in _STAGES)
STRIDE = STRIDES[_STAGES[0]]
BANK = 2000  # how many patches are kept
_SEEN = 40_000  # from how many patches the kept ones are chosen
_DIMENSIONS = 64  # the dimensions of the Gaussians, drawn at random from the features
_RIDGE = 0.01  # is added to each covariance, as PaDiM does
_BATCH = 16


class Frozen(Served):
    """Scores pictures by the features of a frozen network."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = pretrained()

    def features(self, x: Tensor) -> Tensor:
        """Return the features (B, F, h, w) of pictures (B, C, S, S) in [0, 1]."""
        levels = self.backbone.stages(as_input(x), _STAGES[-1] + 1)
        near = [functional.avg_pool2d(levels[stage], 3, 1, 1) for stage in _STAGES]
        coarse = functional.interpolate(near[1], size=near[0].shape[2:], mode="bilinear")
        return torch.cat([near[0], coarse], dim=1)


class NearestPatch(Frozen):
    """Scores by the largest distance of a patch to the nearest kept patch of normals, at any place."""

    bank: Tensor

    def __init__(self, kept: int = BANK) -> None:
        super().__init__()
        self.register_buffer("bank", torch.zeros(kept, FEATURES))

    @override
    def score_float(self, x: Tensor) -> tuple[Tensor, Tensor]:
        found = self.features(x)
        patches = found.flatten(2).transpose(1, 2)
        squared = (patches**2).sum(2, keepdim=True) - 2 * patches @ self.bank.T + (self.bank**2).sum(1)
        anomaly_map = squared.amin(2).clamp(min=1e-6).sqrt().reshape(-1, *found.shape[2:])
        return anomaly_map.amax((1, 2)), anomaly_map


class PlaceGaussian(Frozen):
    """Scores by the largest Mahalanobis distance of a patch to the normals' Gaussian at its place."""

    mean: Tensor
    whitening: Tensor
    used: Tensor

    def __init__(self, places: int = 1, dimensions: int = _DIMENSIONS) -> None:
        super().__init__()
        self.register_buffer("used", torch.zeros(dimensions, dtype=torch.long))
        self.register_buffer("mean", torch.zeros(places, dimensions))
        self.register_buffer("whitening", torch.zeros(places, dimensions, dimensions))

    @override
    def score_float(self, x: Tensor) -> tuple[Tensor, Tensor]:
        found = self.features(x)
        away = found.flatten(2)[:, self.used].permute(2, 0, 1) - self.mean[:, None]
        squared = (away @ self.whitening).pow(2).sum(2).T
        anomaly_map = squared.clamp(min=1e-6).sqrt().reshape(-1, *found.shape[2:])
        return anomaly_map.amax((1, 2)), anomaly_map


class Classifier(Served):
    """Scores a picture by the logit of its being a pseudo-anomaly; the map is the same head on each cell."""

    def __init__(self, network: CellNetwork) -> None:
        super().__init__()
        self.network = folded(network)

    @override
    def score_float(self, x: Tensor) -> tuple[Tensor, Tensor]:
        features = self.network.features(x)
        return self.network.pool(self.network.classify(self.network.judged(features))), (
            self.network.classify(features)
        )


class _WholePictures(RobustObjective):
    @override
    def served(self, network: nn.Module) -> Classifier:  # type: ignore[override]
        assert isinstance(network, CellNetwork)
        return Classifier(network).eval()


def fit_nearest(given: BaselineInput, on_progress: OnProgress, checkpoint: Path) -> Served:
    """Return the module with a farthest-point selection of the normals' patches (Gonzalez, 1985)."""
    module = NearestPatch().eval()
    patches = _features(module, given.normals, on_progress).flatten(2).transpose(1, 2).reshape(-1, FEATURES)
    random = torch.Generator().manual_seed(given.seed)
    seen = patches[torch.randperm(len(patches), generator=random)[:_SEEN]]
    shadow = seen @ torch.randn(FEATURES, _DIMENSIONS, generator=random)  # keeps distances (Johnson, 1984)
    chosen, nearest = [0], torch.full((len(seen),), torch.inf)
    while len(chosen) < min(BANK, len(seen)):
        nearest = torch.minimum(nearest, (shadow - shadow[chosen[-1]]).pow(2).sum(1))
        chosen.append(int(nearest.argmax()))
    module.bank = seen[torch.tensor(chosen)].clone()
    return module


def fit_gaussian(given: BaselineInput, on_progress: OnProgress, checkpoint: Path) -> Served:
    """Return the module with mean and covariance of the normals at each place."""
    module = PlaceGaussian().eval()
    random = torch.Generator().manual_seed(given.seed)
    used = torch.randperm(FEATURES, generator=random)[:_DIMENSIONS].sort()[0]
    found = _features(module, given.normals, on_progress).flatten(2)[:, used].permute(2, 0, 1)
    mean = found.mean(1)
    away = found - mean[:, None]
    covariance = away.transpose(1, 2) @ away / max(1, away.shape[1] - 1) + _RIDGE * torch.eye(_DIMENSIONS)
    # With the covariance L Lᵀ, the distance is |L⁻¹ a|, so rows are multiplied by the transpose.
    inverse = torch.linalg.inv(torch.linalg.cholesky(covariance))
    module.used, module.mean, module.whitening = used, mean, inverse.transpose(1, 2).contiguous()
    return module


def fit_classifier(given: BaselineInput, on_progress: OnProgress, checkpoint: Path) -> Served:
    """Return a net with a global head that PGD training has taught to tell normals from pseudo-anomalies."""
    profile = _classifier_profile(given.profile)
    made = make_pseudo_anomalies(given.normals, FitSettings("robust", f"{given.profile}-whole", given.seed))
    input_ = FitInput(given.normals, in_memory(made), given.profile, given.seed, given.steps)
    check_input(input_, "adversarial-classifier")
    steps = profile.schedule.steps if given.steps is None else given.steps
    recipe = training_recipe(input_, "adversarial-classifier", profile, steps)
    torch.manual_seed(given.seed)
    network = CellNetwork(profile.shape, given.normals.shape[3])
    plan = TrainingPlan(profile.schedule, steps, given.seed)
    material = whole_pictures(input_, network, Variation(profile.light, profile.shift))
    return AdversarialTraining(material, plan, network, _WholePictures(profile)).run(
        checkpoints_of(checkpoint, input_, recipe), on_progress
    )


def _nearest(stored: StoredBaseline) -> Served:
    return filled(NearestPatch(len(stored.weights["bank"])), stored)


def _gaussian(stored: StoredBaseline) -> Served:
    return filled(PlaceGaussian(*stored.weights["mean"].shape), stored)


def _classifier(stored: StoredBaseline) -> Served:
    shape = _classifier_profile(stored.profile).shape
    return filled(Classifier(CellNetwork(shape, stored.channels)), stored)


BASELINES: Mapping[str, Baseline] = {
    "patch-nearest": Baseline(fit_nearest, _nearest),
    "patch-gaussian": Baseline(fit_gaussian, _gaussian),
    "adversarial-classifier": Baseline(fit_classifier, _classifier),
}


def _classifier_profile(name: str) -> RobustProfile:
    return with_overrides(profile_named(name), {"shape.cells": False, "weights.cells": 0.0})


def _features(module: Frozen, normals: Pictures, on_progress: OnProgress) -> Tensor:
    found = []
    with torch.inference_mode():
        for start in range(0, len(normals), _BATCH):
            part = torch.from_numpy(normals[start : start + _BATCH]).permute(0, 3, 1, 2).float() / 255
            found.append(module.features(part))
            on_progress(min(start + _BATCH, len(normals)), len(normals), "features")
    return torch.cat(found).clone()
