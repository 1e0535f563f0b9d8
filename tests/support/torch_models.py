"""Small torch modules that obey the inference contract and whose answers are known by hand."""

import torch
from torch import Tensor, nn
from typing_extensions import override


class BrightSpot(nn.Module):
    """Scores the brightest 4x4 block: map = block means in [0, 1], score = their maximum."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(()), requires_grad=False)

    @override
    def forward(self, picture: Tensor) -> tuple[Tensor, Tensor]:
        """Return scores (B,) and maps (B, H/4, W/4) of uint8 pictures (B, H, W, C)."""
        grey = picture.permute(0, 3, 1, 2).float().mean(1, keepdim=True) / 255
        heat = self.gain * nn.functional.avg_pool2d(grey, 4)[:, 0]
        return heat.amax((1, 2)), heat
