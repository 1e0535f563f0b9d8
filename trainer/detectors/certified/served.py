"""What is served: the calibrated patch distance, whose every operation moves by no more than its input."""

import torch
from torch import Tensor
from typing_extensions import override

from trainer.detectors.certified.patches import patch_planes, places
from trainer.detectors.protocol import Served


class CertifiedServed(Served):
    """score = max over places (distance to the nearest kept patch - usual distance there).

    With d the mean absolute difference, |d(p, q) - d(p', q)| <= max |p - p'|; minimum, offset and maximum
    keep that. So a change of every pixel of the input by at most e moves map and score by at most e.
    """

    lipschitz = 1.0
    memory: Tensor
    usual: Tensor

    def __init__(self, side: int, patch: int, stride: int, shape: tuple[int, int]) -> None:
        """``shape`` is (pixels of a patch, patches kept a place); ``side`` the input's side."""
        super().__init__()
        pixels, kept = shape
        self._patch, self._stride = patch, stride
        self._grid = places(side, patch, stride)
        count = self._grid * self._grid
        self.register_buffer("memory", torch.zeros(pixels, count, kept))
        self.register_buffer("usual", torch.zeros(count))

    @override
    def score_float(self, x: Tensor) -> tuple[Tensor, Tensor]:
        planes = patch_planes(x, self._patch, self._stride)
        apart = (planes[0][:, :, None] - self.memory[0]).abs()
        for plane, kept in zip(planes[1:], self.memory[1:], strict=True):
            apart = apart + (plane[:, :, None] - kept).abs()
        heat = apart.amin(2) / len(planes) - self.usual
        return heat.amax(1), heat.reshape(-1, self._grid, self._grid)
