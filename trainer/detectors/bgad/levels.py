"""Compute frozen features of a picture, whitened by the normals: one level per backbone stage and scale."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import override

from trainer.backbone.lite import CHANNELS, STRIDES, Lite0, as_input, trimmed

_MEAN, _SPREAD = 0.45, 0.22  # natural pictures in [0, 1], which the backbone was trained on
_LEAST_SPREAD = 0.02  # keeps a uniformly gray picture from being amplified into noise


@dataclass(frozen=True, slots=True)
class LevelShape:
    """Levels are the ``stages`` of the backbone, counted from 1, of the picture at each of ``scales``.

    The levels of one scale stand together. With ``standardised``, each picture is first brought to one
    exposure and contrast.
    """

    stages: tuple[int, ...]
    scales: tuple[float, ...]
    standardised: bool

    def sizes(self, height: int, width: int) -> list[tuple[int, int]]:
        """Return how many cells each level has from top to bottom and from left to right."""
        found = []
        for scale in self.scales:
            for stride in (STRIDES[stage - 1] for stage in self.stages):
                rows, columns = (-(-round(length * scale) // stride) for length in (height, width))
                found.append((rows, columns))
        return found

    def channels(self) -> list[int]:
        """Return the length of the vectors of each level."""
        return [CHANNELS[stage - 1] for stage in self.stages] * len(self.scales)


class Levels(nn.Module):
    """``raw`` gives features; ``forward`` gives them whitened with a shrunk covariance of the normals.

    ``shrinkage`` times the mean variance is added to the variance of each direction, so that directions in
    which normals hardly vary are not amplified. Training the flow with ``noise`` of just that variance on its
    input keeps it so.
    """

    def __init__(self, network: Lite0, shape: LevelShape) -> None:
        super().__init__()
        self.network = trimmed(network, max(shape.stages))
        self._shape = shape
        self.channels = shape.channels()
        for level, channels in enumerate(self.channels):
            self.register_buffer(f"mean{level}", torch.zeros(channels))
            self.register_buffer(f"white{level}", torch.eye(channels))

    def raw(self, x: Tensor) -> list[Tensor]:
        """Return (B, cells, channels) per level of (B, C, H, W) in [0, 1]; each cell is a mean over 3 x 3."""
        seen = as_input(_standardised(x) if self._shape.standardised else x)
        chosen = []
        for scale in self._shape.scales:
            stages = self.network.stages(_scaled(seen, scale), max(self._shape.stages))
            chosen += [stages[stage - 1] for stage in self._shape.stages]
        smooth = [functional.avg_pool2d(level, 3, 1, 1, count_include_pad=False) for level in chosen]
        return [level.flatten(2).transpose(1, 2) for level in smooth]

    def whitened(self, raw: Sequence[Tensor]) -> list[Tensor]:
        """Whiten raw levels with the mean and covariance of the normals."""
        return [(level - self._of("mean", i)) @ self._of("white", i) for i, level in enumerate(raw)]

    @override
    def forward(self, x: Tensor) -> list[Tensor]:
        return self.whitened(self.raw(x))

    def fit(self, raw: Sequence[Tensor], shrinkage: float) -> list[Tensor]:
        """Learn mean and covariance of normals' raw levels; return each one's noise deviation (channels,)."""
        noise = []
        for level, found in enumerate(raw):
            rows = found.flatten(0, 1).double()
            mean = rows.mean(0)
            apart = rows - mean
            variance, directions = torch.linalg.eigh(apart.T @ apart / len(rows))
            added = shrinkage * variance.mean()
            spread = (variance.clamp(min=0) + added).sqrt()
            self._of("mean", level).copy_(mean)
            self._of("white", level).copy_(directions / spread)
            noise.append((added.sqrt() / spread).float())
        return noise

    def _of(self, name: str, level: int) -> Tensor:
        return self.get_buffer(f"{name}{level}")


def _scaled(x: Tensor, scale: float) -> Tensor:
    size = (round(x.shape[2] * scale), round(x.shape[3] * scale))
    if size == tuple(x.shape[2:]):
        return x
    return functional.interpolate(x, size=size, mode="bilinear", align_corners=False)


def _standardised(x: Tensor) -> Tensor:
    """Bring each picture of (B, C, H, W) to the mean and the deviation of natural pictures."""
    mean = x.mean((1, 2, 3), keepdim=True)
    spread = (x - mean).square().mean((1, 2, 3), keepdim=True).clamp(min=1e-8).sqrt()
    return (x - mean) / (spread + _LEAST_SPREAD) * _SPREAD + _MEAN
