"""The DAF module that is exported: discrepancy plus decoder's map, smoothed; the score is its top part."""

import copy

import torch
from torch import Tensor, nn
from typing_extensions import override

from trainer.backbone.lite import frozen
from trainer.detector_protocol import Served
from trainer.detectors.daf.loss import enlarged
from trainer.detectors.daf.network import Learner, Teacher
from trainer.detectors.daf.profile import DafScoring
from trainer.learning.flips import test_time_augmentation
from trainer.learning.smoothing import GaussianSmoothing

_SIDE = 256  # the side at which ``sigma`` is given


class DafServed(Served):
    """A = G(sum_i up(mean_c M_i) + w sigmoid(decoder)), averaged over flips of the picture.

    Teacher and student get the same picture.
    """

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
        self.smoothing = GaussianSmoothing(scoring.sigma * pixels**0.5 / _SIDE)

    @override
    def score_float(self, x: Tensor) -> tuple[Tensor, Tensor]:
        anomaly_map = self.smoothing(test_time_augmentation(self._anomaly_map, x, self._scoring.flips))
        return anomaly_map.flatten(1).topk(self._count, 1).values.mean(1), anomaly_map

    def _anomaly_map(self, x: Tensor) -> Tensor:
        stages = self.teacher(x)
        found = self.learner(stages, x, stages)
        apart = torch.stack([enlarged(stage.discrepancy.mean(1), self._size) for stage in found.stages])
        decoded = torch.sigmoid(enlarged(found.anomaly_map, self._size))
        return self._scoring.discrepancy * apart.sum(0) + self._scoring.decoder * decoded
