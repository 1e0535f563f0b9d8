"""The BGAD module that is exported: it measures how unlikely each cell of a picture is under the flows."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import override

from trainer.detector_protocol import Served
from trainer.detectors.bgad.flow import NormalizingFlow
from trainer.detectors.bgad.levels import Levels
from trainer.detectors.bgad.profile import BgadScoring

Cells = tuple[int, int]


class BgadServed(Served):
    """Sum over levels how unlikely each cell is, in units of the training normals, on the finest grid.

    The units come from training pictures only. In the paper's code the maximum is that of the test set.
    """

    centre: Tensor
    spread: Tensor
    most: Tensor

    def __init__(
        self, levels: Levels, flows: nn.ModuleList, sizes: Sequence[Cells], scoring: BgadScoring
    ) -> None:
        """``sizes`` are the cells of each level, from top to bottom and from left to right."""
        super().__init__()
        self.levels, self.flows = levels, flows
        self._sizes, self._scoring = sizes, scoring
        self._finest = max(sizes, key=math.prod)
        self._worst = max(1, round(scoring.share * math.prod(self._finest)))
        for name in ("centre", "spread", "most"):
            self.register_buffer(name, torch.ones(len(sizes)))
        for level, channels in enumerate(levels.channels):
            self.register_buffer(f"tilt{level}", torch.zeros(channels))

    def learn_units(self, densities: list[Tensor]) -> None:
        """Set the units from the log-densities of training normals: one tensor of any shape per level."""
        for level, found in enumerate(densities):
            self.centre[level] = found.mean()
            self.spread[level] = found.std().clamp(min=1e-6)
            self.most[level] = found.max()

    def lean(self, tilts: list[Tensor]) -> None:
        """Lower each level's log-density by x · tilt / channels; there is one tilt (channels,) per level."""
        for level, tilt in enumerate(tilts):
            self.get_buffer(f"tilt{level}").copy_(tilt)

    @override
    def score_float(self, x: Tensor) -> tuple[Tensor, Tensor]:
        anomaly_map = self.anomaly_map(self.levels(x))
        worst = anomaly_map.flatten(1).topk(self._worst, 1).values
        return worst.mean(1), anomaly_map

    def anomaly_map(self, whitened: list[Tensor]) -> Tensor:
        """Return the anomaly map (B, h, w) of whitened levels (B, cells, channels)."""
        total = torch.zeros(())
        for level, (found, size) in enumerate(zip(whitened, self._sizes, strict=True)):
            tilt = self.get_buffer(f"tilt{level}")
            density = self._flow(level)(found) - (found * tilt).mean(-1)
            unlikely = self._unlikely(density, level).reshape(-1, 1, *size)
            if size != self._finest:
                unlikely = functional.interpolate(
                    unlikely, size=self._finest, mode="bilinear", align_corners=False
                )
            total = total + unlikely[:, 0]
        return total

    def _flow(self, level: int) -> NormalizingFlow:
        flow = self.flows[level]
        assert isinstance(flow, NormalizingFlow)
        return flow

    def _unlikely(self, density: Tensor, level: int) -> Tensor:
        if self._scoring.levels == "paper":
            return -(density - self.most[level]).exp()
        return (self.centre[level] - density) / self.spread[level]
