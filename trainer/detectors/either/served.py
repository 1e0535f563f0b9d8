"""The module of two halves that is exported: each in units of normals held aside, fused to one score."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import override

from steadyline.inference import HALVES
from trainer.detector_protocol import Served
from trainer.detectors.either.profile import Fusion
from trainer.detectors.either.trait_compensation import TraitCompensation
from trainer.learning.smoothing import GaussianSmoothing

PATCH, ROBUST = "patch", "robust"


@dataclass(frozen=True, slots=True)
class SeenByHalves:
    """What of a picture the halves see: ``light`` brings it into a range, for both; ``reduce`` makes of that
    what the robust half sees.
    """

    light: nn.Module
    reduce: nn.Module


class EitherServed(Served):
    """Score: that of the robust half, lifted by what the frozen half has above its centre.

    It is never under the robust half's own, so that to hide a defect which that half sees an attack must fool
    it; to raise a false alarm either half is enough. The same holds of ``max``, and not of ``sum``, where a
    frozen half that is driven far below its centre outweighs what the robust half sees. The map is the sum of
    both halves' maps, at the size of the first one's, which is averaged with itself smoothed by a Gaussian
    of ``sigma`` of its cells (0 leaves it as it is): what is small shows by itself, what is large by its
    neighbourhood. With ``max`` the map is their greater one. ``centre`` and ``spread`` (2,) are those of the
    halves' scores of normals that neither was trained on. With a ``compensation`` the score is raised
    where a picture is of a brightness and detail whose normals score low; the map stays as it is.
    """

    centre: Tensor
    spread: Tensor

    def __init__(
        self, patch: Served, robust: Served, seen: SeenByHalves, fusion: Fusion, sigma: float = 0
    ) -> None:
        super().__init__()
        self.patch, self.robust, self.light, self.reduce = patch, robust, seen.light, seen.reduce
        self.smoothing = GaussianSmoothing(sigma) if sigma else nn.Identity()
        self._fusion = fusion
        self.compensation: TraitCompensation | None = None
        self.register_buffer("centre", torch.zeros(2))
        self.register_buffer("spread", torch.ones(2))

    @property
    @override
    def halves(self) -> tuple[str, ...]:
        return PATCH, ROBUST

    def raw_halves(self, x: Tensor) -> Tensor:
        """Return both halves' scores (B, 2) of pictures (B, C, H, W) in [0, 1], each on its own scale."""
        lit = self.light(x)
        return torch.stack([self.patch.score_alone(lit), self.robust.score_alone(self.reduce(lit))], 1)

    def told_halves(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return both halves' scores (B, 2) and maps (B, 2, h, w), in their units and at one size."""
        lit = self.light(x)
        (first, first_map), (second, second_map) = (
            self.patch.score_float(lit),
            self.robust.score_float(self.reduce(lit)),
        )
        enlarged = functional.interpolate(
            second_map[:, None], size=first_map.shape[1:], mode="bilinear", align_corners=False
        )
        averaged = (first_map + self.smoothing(first_map)) / 2
        maps = torch.cat([averaged[:, None], enlarged], 1)
        told = (maps - self.centre[:, None, None]) / self.spread[:, None, None]
        return (torch.stack([first, second], 1) - self.centre) / self.spread, told

    @override
    def outputs(self, x: Tensor) -> dict[str, Tensor]:
        halves, maps = self.told_halves(x)
        anomaly_map = maps.amax(1) if self._fusion == "max" else maps.sum(1)
        return {"score": self._compensated(x, halves), "map": anomaly_map, HALVES: halves}

    @override
    def score_float(self, x: Tensor) -> tuple[Tensor, Tensor]:
        found = self.outputs(x)
        return found["score"], found["map"]

    @override
    def score_alone(self, x: Tensor) -> Tensor:
        return self._compensated(x, (self.raw_halves(x) - self.centre) / self.spread)

    def _compensated(self, x: Tensor, halves: Tensor) -> Tensor:
        """Return the scores of pictures whose halves' scores these are."""
        fused = self._fused(halves)
        return fused if self.compensation is None else fused + self.compensation(x, self.light(x))

    def _fused(self, halves: Tensor) -> Tensor:
        if self._fusion == "max":
            return halves.amax(1)
        patch = halves[:, 0].clamp(min=0) if self._fusion == "lifted" else halves[:, 0]
        return halves[:, 1] + patch
