"""A baseline to compare detectors with: plain adversarial training, with nothing of our detectors."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from typing_extensions import override

from bench.robustness.baseline import Baseline, BaselineInput, StoredBaseline, filled
from trainer.adversarial.batch import Variation
from trainer.adversarial.fuse_batchnorm import folded
from trainer.adversarial.network import CellNetwork
from trainer.adversarial.training import AdversarialTraining, TrainingPlan, whole_pictures
from trainer.detector_protocol import FitInput, OnProgress, Served
from trainer.detectors.profiles import with_overrides
from trainer.detectors.recipe import check_input, checkpoints_of, training_recipe
from trainer.detectors.robust.objective import RobustObjective
from trainer.detectors.robust.profile import RobustProfile, profile_named
from trainer.fit import FitSettings, make_pseudo_anomalies
from trainer.pseudo.entry import in_memory


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


def _classifier(stored: StoredBaseline) -> Served:
    shape = _classifier_profile(stored.profile).shape
    return filled(Classifier(CellNetwork(shape, stored.channels)), stored)


BASELINES: Mapping[str, Baseline] = {
    "adversarial-classifier": Baseline(fit_classifier, _classifier),
}


def _classifier_profile(name: str) -> RobustProfile:
    return with_overrides(profile_named(name), {"shape.cells": False, "weights.cells": 0.0})
