"""PatchCore and student-teacher feature matching as Anomalib has them; Anomalib trains them and scores.

Roth et al., "Towards Total Recall in Industrial Anomaly Detection", CVPR 2022; Wang et al., "Student-Teacher
Feature Pyramid Matching for Anomaly Detection", BMVC 2021. This file only adapts them: it turns arrays into
Anomalib's batches, takes installed weights in place of those that Anomalib would download, and lets gradients
reach the picture, which an attack needs and Anomalib does not.
"""

import logging
import math
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import timm
import torch
from anomalib.data import ImageBatch
from anomalib.engine import Engine
from anomalib.models import Patchcore, Stfpm
from anomalib.models.components import AnomalibModule
from anomalib.models.image.patchcore import torch_model as patchcore
from anomalib.pre_processing import PreProcessor
from lightning.pytorch import Callback, seed_everything
from timm.models import register_model
from torch import Tensor, nn
from torch.utils.data import DataLoader, RandomSampler, TensorDataset
from torchvision.transforms.v2 import Normalize
from typing_extensions import override

from bench.robustness.anomalib import NAMES
from bench.robustness.baseline import Baseline, BaselineInput, filled
from steadyline.errors import InvalidConfiguration
from trainer.arrays import Pictures
from trainer.backbone.weights import pretrained as published
from trainer.detector_protocol import OnProgress, Served

_BACKBONE = "packaged_lite0"
_STAGES = ("blocks.1", "blocks.2", "blocks.4")  # have strides 4, 8, 16, as a ResNet's layer1 to layer3
_SAMPLED = {
    "cpu": 0.01,
    "paper": 0.1,
}  # the share of all patches that is kept: two variants of Roth et al., of which Anomalib has the latter
_STEPS = {"cpu": 300, "paper": 3000}
_BATCH = 16

for _talkative in ("lightning", "lightning.fabric", "lightning.pytorch", "timm"):
    logging.getLogger(_talkative).setLevel(logging.ERROR)

# A graph with a free batch cannot branch on how many patches there are, so distances are computed without
# chunks; they are the same.
patchcore.DEFAULT_CHUNK_SIZE = math.inf


@register_model
def packaged_lite0(pretrained: bool = False, **how: Any) -> nn.Module:
    """Return timm's ``tf_efficientnet_lite0``; its published weights come from the installed package."""
    how["pretrained_cfg"] = {"state_dict": _weights()}
    made: nn.Module = timm.models.efficientnet.tf_efficientnet_lite0(pretrained=pretrained, **how)
    return made


def _weights() -> dict[str, Tensor]:
    """Return the package's tensors under timm's names: both list the same layers in the same order."""
    names = timm.create_model("tf_efficientnet_lite0", pretrained=False).state_dict()
    return dict(zip(names, published().state_dict().values(), strict=True))


class Differentiable(nn.Module):
    """Makes a frozen feature extractor of Anomalib, which drops gradients, pass them on to the picture."""

    def __init__(self, extractor: nn.Module) -> None:
        super().__init__()
        self.extractor = extractor

    @override
    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Return the extractor's features by layer, each (B, F, h, w)."""
        with torch.set_grad_enabled(x.requires_grad):
            features: dict[str, Tensor] = self.extractor(x)
        return features


class Scores(Served):
    """Gives an Anomalib model's score and map before post-processing, which scales them by a threshold."""

    def __init__(self, made: AnomalibModule, frozen: str) -> None:
        super().__init__()
        self.pre_processor, self.model = made.pre_processor, made.model
        extractor = getattr(self.model, frozen)
        extractor.requires_grad = True  # it computes under no_grad otherwise
        setattr(self.model, frozen, Differentiable(extractor))

    @override
    def score_float(self, x: Tensor) -> tuple[Tensor, Tensor]:
        found = self.model(self.pre_processor(x.expand(-1, 3, -1, -1)))
        return found.pred_score.flatten(), found.anomaly_map[:, 0]


def _fit_patchcore(given: BaselineInput, on_progress: OnProgress, work: Path) -> Served:
    seed_everything(given.seed, verbose=False)
    made, batches = _patchcore(_of(given.profile, _SAMPLED)), _loader(given.normals, None)
    _train(made, batches, {"max_epochs": 1}, _Heard(on_progress, len(batches)))
    return Scores(made, "feature_extractor").eval()


def _fit_stfpm(given: BaselineInput, on_progress: OnProgress, work: Path) -> Served:
    seed_everything(given.seed, verbose=False)
    made, steps = _stfpm(), given.steps or int(_of(given.profile, _STEPS))
    _train(made, _loader(given.normals, steps), {"max_steps": steps}, _Heard(on_progress, steps))
    return Scores(made, "teacher_model").eval()


def _patchcore(sampled: float = 1.0) -> AnomalibModule:
    return Patchcore(_BACKBONE, _STAGES[1:], coreset_sampling_ratio=sampled, **_plain())


def _stfpm() -> AnomalibModule:
    return Stfpm(_BACKBONE, _STAGES, **_plain())


PATCHCORE = Baseline(_fit_patchcore, lambda stored: filled(Scores(_patchcore(), "feature_extractor"), stored))
STFPM = Baseline(_fit_stfpm, lambda stored: filled(Scores(_stfpm(), "teacher_model"), stored))
MODELS: Mapping[str, Baseline] = dict(zip(NAMES, (PATCHCORE, STFPM), strict=True))


def _of(profile: str, numbers: Mapping[str, float]) -> float:
    if profile not in numbers:
        raise InvalidConfiguration(f"there is no profile {profile!r}; there are {', '.join(sorted(numbers))}")
    return numbers[profile]


def _plain() -> dict[str, Any]:
    """Return the parts that Anomalib puts around a model: the backbone's scaling, and no part that looks at a
    test set.
    """
    scaling = PreProcessor(Normalize([0.5] * 3, [0.5] * 3))
    return {"pre_processor": scaling, "post_processor": False, "evaluator": False, "visualizer": False}


def _loader(normals: Pictures, steps: int | None) -> DataLoader[tuple[Tensor, ...]]:
    """Return Anomalib's batches: of each picture once, or ``steps`` batches of pictures drawn at random."""
    x = TensorDataset(torch.from_numpy(normals).permute(0, 3, 1, 2).float().expand(-1, 3, -1, -1) / 255)
    drawn = None if steps is None else RandomSampler(x, replacement=True, num_samples=steps * _BATCH)
    return DataLoader(x, _BATCH, sampler=drawn, collate_fn=_batch)


def _batch(rows: list[tuple[Tensor, ...]]) -> ImageBatch:
    return ImageBatch(image=torch.stack([picture for (picture,) in rows]))


def _train(
    made: AnomalibModule, batches: DataLoader[tuple[Tensor, ...]], length: dict[str, int], report: "_Heard"
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        how = {"accelerator": "cpu", "devices": 1, "barebones": True, "default_root_dir": folder}
        Engine(callbacks=[report], **how, **length).fit(made, batches)


class _Heard(Callback):  # type: ignore[misc]
    def __init__(self, on_progress: OnProgress, total: int) -> None:
        self._on_progress, self._total, self._done = on_progress, total, 0

    @override
    def on_train_batch_end(self, *_: Any) -> None:
        self._done += 1
        self._on_progress(min(self._done, self._total), self._total, "batches")
