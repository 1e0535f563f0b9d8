"""The module that is exported: the calibrated patch distance, each operation of which is 1-Lipschitz."""

import torch
from torch import Tensor
from typing_extensions import override

from trainer.detector_protocol import Served
from trainer.detectors.certified.layout import Layout
from trainer.detectors.certified.patches import patch_planes, pooled

NEAREST = 16  # kept patches whose means are tried as upper bounds; more gained nothing on ELPV


class CertifiedServed(Served):
    """score = max over places (distance to the nearest kept patch - usual distance there).

    Where the layout says so, the picture is averaged over squares first, which moves no mean by more than the
    largest change of a pixel. The distance d is the mean over a patch of max(|difference| - tolerance, 0), so
    |d(p, q) - d(p', q)| <= max |p - p'|. Minimum, offset and maximum preserve this. A change of every pixel
    of the input by at most e therefore moves map and score by at most e. ``score_bounds`` gives bounds that
    are mostly tighter.
    """

    lipschitz = 1.0
    memory: Tensor
    usual: Tensor

    def __init__(self, layout: Layout, tolerance: float, shape: tuple[int, int]) -> None:
        """``shape``: pixels of a patch, patches per place."""
        super().__init__()
        self._layout, self._tolerance = layout, tolerance
        pixels, kept = shape
        count = layout.places.pixels
        self.register_buffer("memory", torch.zeros(pixels, count, kept))
        self.register_buffer("usual", torch.zeros(count))

    @override
    def score_float(self, x: Tensor) -> tuple[Tensor, Tensor]:
        anomaly_map = self._apart(x, self._tolerance).amin(2) - self.usual
        return anomaly_map.amax(1), anomaly_map.reshape(-1, *self._layout.places)

    @override
    def score_bounds(self, x: Tensor, epsilon: float) -> tuple[Tensor, Tensor]:
        """Return the lowest and highest score (B,) that changing each pixel by at most ``epsilon`` can reach.

        Lower bound: each pixel comes nearer to each kept patch by at most epsilon, which equals a tolerance
        that is wider by epsilon. Upper bound: a minimum is at most any mean over kept patches. The most that
        such a mean can be raised to is found pixel by pixel at one of the two ends, because it is convex; the
        least over several means of the nearest, and over each kept patch alone, is the bound.
        """
        lowest = self._apart(x, self._tolerance + epsilon).amin(2)
        nearest = self._apart(x, self._tolerance).topk(min(NEAREST, self.memory.shape[2]), largest=False)[1]
        highest = torch.zeros(nearest.shape)
        count = torch.arange(1, nearest.shape[2] + 1)
        for plane, kept in zip(self._planes(x), self.memory, strict=True):
            near = kept.expand(len(x), -1, -1).gather(2, nearest)
            up, down = ((end[:, :, None] - near).abs() for end in (plane + epsilon, plane - epsilon))
            ends = ((one - self._tolerance).clamp_min(0).cumsum(2) / count for one in (up, down))
            highest = highest + torch.maximum(*ends)
        # Alone, a pixel goes away from any kept patch by at most epsilon: a tolerance narrower by it.
        alone = self._apart(x, self._tolerance - epsilon).amin(2)
        highest = torch.minimum((highest / len(self.memory)).amin(2), alone)
        return (lowest - self.usual).amax(1), (highest - self.usual).amax(1)

    def _apart(self, x: Tensor, tolerance: float) -> Tensor:
        """Return distances (B, places, kept) of each place's patch to each patch that is kept there."""
        planes = self._planes(x)
        apart = torch.zeros(())
        for plane, kept in zip(planes, self.memory, strict=True):
            apart = apart + ((plane[:, :, None] - kept).abs() - tolerance).clamp_min(0)
        return apart / len(planes)

    def _planes(self, x: Tensor) -> list[Tensor]:
        """Return what is compared of ``x``: one plane (B, places) per pixel of a patch."""
        layout = self._layout
        return patch_planes(pooled(x, layout.pool), layout.patch, layout.stride)
