"""The module that is exported: the network's own map, averaged over flips of the picture, and its score."""

import torch
from torch import Tensor
from typing_extensions import override

from trainer.adversarial.fuse_batchnorm import folded
from trainer.adversarial.network import CellNetwork
from trainer.crops.serve import DenseAnswer
from trainer.detector_protocol import Served
from trainer.learning.flips import test_time_augmentation


class RobustServed(Served):
    """The map is the mean of the flips' maps; the score is its smooth maximum.

    An attack has to fool all flips with one change. It gains less from a sharp maximum than from the one used
    in training, to which every cell of the picture contributes a little. A net that was trained on crops has
    ``dense`` instead: on a large picture thousands of indifferent cells would add up in a smooth maximum.
    """

    def __init__(
        self, network: CellNetwork, flips: int, sharpness: float, dense: DenseAnswer | None = None
    ) -> None:
        super().__init__()
        self.network = folded(network)
        self.dense = dense
        self._flips, self._sharpness = (1 if dense is not None else flips), sharpness

    @override
    def score_float(self, x: Tensor) -> tuple[Tensor, Tensor]:
        anomaly_map = test_time_augmentation(
            lambda flipped: self.network.classify(self.network.features(flipped)), x, self._flips
        )
        if self.dense is not None:
            score, served = self.dense(anomaly_map)
            return score, served
        return torch.logsumexp(self._sharpness * anomaly_map.flatten(1), 1) / self._sharpness, anomaly_map
