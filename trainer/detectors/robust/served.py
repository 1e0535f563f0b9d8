"""The module that is exported: the network's own score and map, averaged over flips of the picture."""

import torch
from torch import Tensor
from typing_extensions import override

from trainer.adversarial.fuse_batchnorm import folded
from trainer.adversarial.network import CellNetwork
from trainer.detector_protocol import Served
from trainer.learning.flips import test_time_augmentation


class RobustServed(Served):
    """The map is the mean of the flips' maps; the score is its smooth maximum.

    An attack has to fool all flips with one change. It gains less from a sharp maximum than from the one used
    in training, to which every cell of the picture contributes a little.
    """

    def __init__(self, network: CellNetwork, flips: int, sharpness: float) -> None:
        super().__init__()
        self.network = folded(network)
        self._flips, self._sharpness = flips, sharpness

    @override
    def score_float(self, x: Tensor) -> tuple[Tensor, Tensor]:
        anomaly_map = test_time_augmentation(
            lambda flipped: self.network.classify(self.network.features(flipped)), x, self._flips
        )
        return torch.logsumexp(self._sharpness * anomaly_map.flatten(1), 1) / self._sharpness, anomaly_map
