"""The DAF module that is exported: discrepancy plus decoder's map, smoothed; the score is its top part."""

import copy
import math

import torch
from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import override

from trainer.backbone.lite import frozen
from trainer.detector_protocol import Served
from trainer.detectors.daf.loss import enlarged
from trainer.detectors.daf.network import Learner, Teacher
from trainer.detectors.daf.profile import DafScoring
from trainer.learning.flips import test_time_augmentation

_REACH = 3  # standard deviations of the Gaussian on either side
_SIDE = 256  # the side at which ``sigma`` is given


class DafServed(Served):
    """A = G(sum_i up(mean_c M_i) + w sigmoid(decoder)), averaged over flips of the picture.

    Teacher and student get the same picture.
    """

    gauss: Tensor

    def __init__(
        self, teacher: Teacher, learner: Learner, scoring: DafScoring, size: tuple[int, int]
    ) -> None:
        """``size`` is height and width of the pictures."""
        super().__init__()
        self.teacher, self.learner = teacher, frozen(copy.deepcopy(learner))
        self.learner.decoder.auxiliary = nn.ModuleList()
        self._scoring, self._size = scoring, size
        pixels = size[0] * size[1]
        self._count = min(pixels, max(scoring.fewest, round(scoring.share * pixels)))
        self.register_buffer("gauss", _gauss(scoring.sigma * pixels**0.5 / _SIDE), persistent=False)

    @override
    def score_float(self, x: Tensor) -> tuple[Tensor, Tensor]:
        anomaly_map = self._smoothed(test_time_augmentation(self._anomaly_map, x, self._scoring.flips))
        return anomaly_map.flatten(1).topk(self._count, 1).values.mean(1), anomaly_map

    def _anomaly_map(self, x: Tensor) -> Tensor:
        stages = self.teacher(x)
        found = self.learner(stages, x, stages)
        apart = torch.stack([enlarged(stage.discrepancy.mean(1), self._size) for stage in found.stages])
        decoded = torch.sigmoid(enlarged(found.anomaly_map, self._size))
        return self._scoring.discrepancy * apart.sum(0) + self._scoring.decoder * decoded

    def _smoothed(self, anomaly_map: Tensor) -> Tensor:
        reach = self.gauss.shape[0] // 2
        padded = functional.pad(anomaly_map[:, None], (reach, reach, reach, reach), mode="replicate")
        across = functional.conv2d(padded, self.gauss[None, None, None, :])
        return functional.conv2d(across, self.gauss[None, None, :, None])[:, 0]


def _gauss(sigma: float) -> Tensor:
    """Return the weights of a Gaussian, cut off at 3 sigma on either side, with sum 1."""
    reach = max(1, math.ceil(_REACH * sigma))
    away = torch.arange(-reach, reach + 1).float()
    weights = torch.exp(-0.5 * (away / sigma) ** 2)
    return weights / weights.sum()
