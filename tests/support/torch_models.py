"""Small torch modules that obey the inference contract and whose answers are known by hand."""

import torch
from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import override

from trainer.detector_protocol import Served


class BrightSpot(nn.Module):
    """Scores the brightest 4x4 block: map = block means in [0, 1], score = their maximum."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(()), requires_grad=False)

    @override
    def forward(self, picture: Tensor) -> tuple[Tensor, Tensor]:
        """Return scores (B,) and maps (B, H/4, W/4) of uint8 pictures (B, H, W, C)."""
        grey = picture.permute(0, 3, 1, 2).float().mean(1, keepdim=True) / 255
        anomaly_map = self.gain * nn.functional.avg_pool2d(grey, 4)[:, 0]
        return anomaly_map.amax((1, 2)), anomaly_map


class Darkest(Served):
    """Scores the darkest 8 x 8 block: right on these parts, and as robust as a mean can be."""

    @override
    def score_float(self, x: Tensor) -> tuple[Tensor, Tensor]:
        anomaly_map = 1 - functional.avg_pool2d(x, 8, 1).mean(1)
        return torch.logsumexp(40 * anomaly_map.flatten(1), 1) / 40, anomaly_map


class Masked(Darkest):
    """The same in steps of 1/64: the gradient is zero everywhere, so PGD sees nothing."""

    @override
    def score_float(self, x: Tensor) -> tuple[Tensor, Tensor]:
        score, anomaly_map = super().score_float(x)
        return (score * 64).round() / 64 + 0 * score, anomaly_map
