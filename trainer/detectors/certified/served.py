"""What is served: the calibrated patch distance, whose every operation moves by no more than its input."""

import torch
from torch import Tensor
from typing_extensions import override

from trainer.detector_protocol import Served
from trainer.detectors.certified.patches import patch_planes, places

NEAREST = 16  # kept patches whose means are tried as upper bounds: more gained nothing on ELPV


class CertifiedServed(Served):
    """score = max over places (distance to the nearest kept patch - usual distance there).

    The distance is the mean over a patch of max(|difference| - tolerance, 0). With d that mean,
    |d(p, q) - d(p', q)| <= max |p - p'|; minimum, offset and maximum keep that. So a change of every pixel of
    the input by at most e moves map and score by at most e, and mostly by less: ``score_bounds``.
    """

    lipschitz = 1.0
    memory: Tensor
    usual: Tensor

    def __init__(self, layout: tuple[int, int, int], tolerance: float, shape: tuple[int, int]) -> None:
        """``layout`` is (side of the input, patch, stride); ``shape`` (pixels of a patch, patches kept a
        place).
        """
        super().__init__()
        side, self._patch, self._stride = layout
        pixels, kept = shape
        self._tolerance = tolerance
        self._grid = places(side, self._patch, self._stride)
        count = self._grid * self._grid
        self.register_buffer("memory", torch.zeros(pixels, count, kept))
        self.register_buffer("usual", torch.zeros(count))

    @override
    def score_float(self, x: Tensor) -> tuple[Tensor, Tensor]:
        anomaly_map = self._apart(x, self._tolerance).amin(2) - self.usual
        return anomaly_map.amax(1), anomaly_map.reshape(-1, self._grid, self._grid)

    @override
    def score_bounds(self, x: Tensor, epsilon: float) -> tuple[Tensor, Tensor]:
        """Below: each pixel comes nearer to each kept patch by at most e, which is a tolerance wider by e.

        Above: a minimum is at most any mean, and what a mean over kept patches can be raised to is found
        pixel by pixel, at one of the two ends, because it is convex. The least over some means counts.
        """
        lowest = self._apart(x, self._tolerance + epsilon).amin(2)
        nearest = self._apart(x, self._tolerance).topk(min(NEAREST, self.memory.shape[2]), largest=False)[1]
        highest = torch.zeros(nearest.shape)
        count = torch.arange(1, nearest.shape[2] + 1)
        for plane, kept in zip(patch_planes(x, self._patch, self._stride), self.memory, strict=True):
            near = kept.expand(len(x), -1, -1).gather(2, nearest)
            up, down = ((end[:, :, None] - near).abs() for end in (plane + epsilon, plane - epsilon))
            ends = ((one - self._tolerance).clamp_min(0).cumsum(2) / count for one in (up, down))
            highest = highest + torch.maximum(*ends)
        highest = (highest / len(self.memory)).amin(2)
        return (lowest - self.usual).amax(1), (highest - self.usual).amax(1)

    def _apart(self, x: Tensor, tolerance: float) -> Tensor:
        """Return (B, places, kept): how far each place's patch is from each patch kept there."""
        planes = patch_planes(x, self._patch, self._stride)
        apart = torch.zeros(())
        for plane, kept in zip(planes, self.memory, strict=True):
            apart = apart + ((plane[:, :, None] - kept).abs() - tolerance).clamp_min(0)
        return apart / len(planes)
