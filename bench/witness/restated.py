"""The certified distance in operations that auto-LiRPA 0.3 knows: the same score, another graph.

It takes neither ``clamp_min`` nor a minimum nor steps in a slice. A cut at zero is a ReLU, patches are a
convolution whose kernels pick one pixel each, and a minimum is a maximum of the negative, pooled.
"""

import torch
from torch import Tensor, nn
from typing_extensions import override

from trainer.detectors.certified.layout import Layout


class RestatedDistance(nn.Module):
    """The score (B, 1) of pictures (B, C, H, W): ``CertifiedServed`` has the proof and the words."""

    memory: Tensor
    usual: Tensor

    def __init__(self, layout: Layout, tolerance: float, memory: Tensor, usual: Tensor) -> None:
        """``memory`` (pixels of a patch, places, kept) and ``usual`` (places,) are those of the model."""
        super().__init__()
        pixels, places, kept = memory.shape
        channels = pixels // layout.patch**2
        self._shape, self._tolerance = (pixels, places, kept), tolerance
        self.means = nn.AvgPool2d(layout.pool) if layout.pool > 1 else nn.Identity()
        self.patches = nn.Conv2d(channels, pixels, layout.patch, layout.stride, bias=False)
        self.patches.weight = nn.Parameter(
            torch.eye(pixels).reshape(pixels, channels, layout.patch, layout.patch), requires_grad=False
        )
        self.nearest = nn.MaxPool2d((1, kept), (1, kept))
        self.farthest = nn.MaxPool2d((1, places), (1, places))
        self.register_buffer("memory", memory[None])
        self.register_buffer("usual", usual.reshape(1, 1, places, 1))

    @override
    def forward(self, x: Tensor) -> Tensor:
        """Return the scores (B, 1)."""
        pixels, places, kept = self._shape
        planes = self.patches(self.means(x)).view(-1, pixels, places, 1)
        apart = torch.relu((planes - self.memory).abs() - self._tolerance).mean(1)
        near = -self.nearest(-apart.view(-1, 1, places, kept)) - self.usual
        highest: Tensor = self.farthest(near.view(-1, 1, 1, places)).view(-1, 1)
        return highest
