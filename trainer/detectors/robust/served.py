"""What is served: the network's own score and map, averaged over flips of the picture."""

import torch
from torch import Tensor
from typing_extensions import override

from trainer.adversarial.fold import folded
from trainer.adversarial.network import CellNetwork
from trainer.detectors.protocol import Served

_FLIPS: tuple[tuple[int, ...], ...] = ((), (-1,), (-2,), (-1, -2))


class RobustServed(Served):
    """The mean of the flips' scores and maps. An attack has to fool all of them with one change."""

    def __init__(self, network: CellNetwork, flips: int) -> None:
        super().__init__()
        self.network = folded(network)
        self._flips = _FLIPS[:flips]

    @override
    def score_float(self, x: Tensor) -> tuple[Tensor, Tensor]:
        scores, maps = [], []
        for axes in self._flips:
            cells = self.network.classify(self.network.features(x.flip(axes) if axes else x))
            scores.append(self.network.pool(cells))
            maps.append(cells.flip(axes) if axes else cells)
        return torch.stack(scores).mean(0), torch.stack(maps).mean(0)
