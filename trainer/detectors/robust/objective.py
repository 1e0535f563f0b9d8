"""The objective of robust: its training minimises and its adversary maximises one cross-entropy."""

import torch
from torch import Generator, Tensor, nn
from typing_extensions import override

from trainer.adversarial.batch import PairedBatch
from trainer.adversarial.fuse_batchnorm import folded
from trainer.adversarial.network import CellNetwork
from trainer.adversarial.objective import CellLogits, TrainingObjective, attacked, class_loss
from trainer.crops.serve import DenseAnswer, DenseScore
from trainer.detectors.robust.profile import RobustProfile
from trainer.detectors.robust.served import RobustServed


class RobustObjective(TrainingObjective):
    """The weighted sum of the cross-entropies of clean and attacked pictures and their cells."""

    def __init__(self, profile: RobustProfile, in_crops: bool = False) -> None:
        self._profile, self._in_crops = profile, in_crops

    @override
    def loss(self, network: nn.Module, batch: PairedBatch, epsilon: float, random: Generator) -> Tensor:
        assert isinstance(network, CellNetwork)
        weights, still = self._profile.weights, folded(network)

        def gain(x: Tensor) -> Tensor:
            return class_loss(judged(still, x), batch, weights.cells)

        hit = attacked(gain, batch.first, epsilon, self._profile.schedule, random)
        found = judged(network, torch.cat([batch.first, hit]))
        images, cells = found.images.chunk(2), found.cells.chunk(2)
        losses = [class_loss(CellLogits(images[part], cells[part]), batch, weights.cells) for part in (0, 1)]
        return weights.clean * losses[0] + weights.attacked * losses[1]

    @override
    def served(self, network: nn.Module) -> RobustServed:
        """Return the module without flips: it only compares states of one training, four times as fast."""
        assert isinstance(network, CellNetwork)
        dense = DenseAnswer(DenseScore(self._profile.crops.top)) if self._in_crops else None
        served = RobustServed(network, 1, self._profile.sharpness, dense)
        return served.eval().to(memory_format=torch.channels_last)


def judged(network: CellNetwork, x: Tensor) -> CellLogits:
    """Return the logits of pictures (B, C, H, W)."""
    cells = network.classify(network.judged(network.features(x)))
    return CellLogits(network.pool(cells), cells)
