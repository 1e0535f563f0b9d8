"""The module of two halves that is exported: each in units of normals held aside, fused to one score."""

import torch
from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import override

from steadyline.inference import HALVES
from trainer.detector_protocol import Served
from trainer.detectors.either.profile import Fusion

PATCH, ROBUST = "patch", "robust"


class EitherServed(Served):
    """Score: that of the robust half, lifted by what the frozen half has above its centre.

    It is never under the robust half's own, so that to hide a defect which that half sees an attack must fool
    it; to raise a false alarm either half is enough. The same holds of ``max``, and not of ``sum``, where a
    frozen half that is driven far below its centre outweighs what the robust half sees. The map is the sum of
    both halves' maps, at the size of the first one's; with ``max`` their greater one. ``centre`` and
    ``spread`` (2,) are those of the halves' scores of normals that neither was trained on.
    """

    centre: Tensor
    spread: Tensor

    def __init__(self, patch: Served, robust: Served, reduce: nn.Module, fusion: Fusion) -> None:
        """``reduce`` makes of a picture what the robust half sees."""
        super().__init__()
        self.patch, self.robust, self.reduce = patch, robust, reduce
        self._fusion = fusion
        self.register_buffer("centre", torch.zeros(2))
        self.register_buffer("spread", torch.ones(2))

    @property
    @override
    def halves(self) -> tuple[str, ...]:
        return PATCH, ROBUST

    def raw_halves(self, x: Tensor) -> Tensor:
        """Return both halves' scores (B, 2) of pictures (B, C, H, W) in [0, 1], each on its own scale."""
        return torch.stack([self.patch.score_alone(x), self.robust.score_alone(self.reduce(x))], 1)

    def told_halves(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return both halves' scores (B, 2) and maps (B, 2, h, w), in their units and at one size."""
        (first, first_map), (second, second_map) = (
            self.patch.score_float(x),
            self.robust.score_float(self.reduce(x)),
        )
        enlarged = functional.interpolate(
            second_map[:, None], size=first_map.shape[1:], mode="bilinear", align_corners=False
        )
        maps = torch.cat([first_map[:, None], enlarged], 1)
        told = (maps - self.centre[:, None, None]) / self.spread[:, None, None]
        return (torch.stack([first, second], 1) - self.centre) / self.spread, told

    @override
    def outputs(self, x: Tensor) -> dict[str, Tensor]:
        halves, maps = self.told_halves(x)
        anomaly_map = maps.amax(1) if self._fusion == "max" else maps.sum(1)
        return {"score": self._fused(halves), "map": anomaly_map, HALVES: halves}

    @override
    def score_float(self, x: Tensor) -> tuple[Tensor, Tensor]:
        found = self.outputs(x)
        return found["score"], found["map"]

    @override
    def score_alone(self, x: Tensor) -> Tensor:
        return self._fused((self.raw_halves(x) - self.centre) / self.spread)

    def _fused(self, halves: Tensor) -> Tensor:
        if self._fusion == "max":
            return halves.amax(1)
        patch = halves[:, 0].clamp(min=0) if self._fusion == "lifted" else halves[:, 0]
        return halves[:, 1] + patch
