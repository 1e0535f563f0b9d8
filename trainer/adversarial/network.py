"""The network: a small residual net that gives each cell features and a logit of being defective."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import override

_MEAN, _SPREAD = 0.4, 0.25  # of pixels in [0, 1]; fixed, so that the graph needs no statistics of the product
_RARE = -2.0  # initial bias of the defect logit, because few cells are defective


@dataclass(frozen=True, slots=True)
class NetworkShape:
    """The network's shape; with ``cells`` it scores patches (top-down head, stride 4), not whole pictures."""

    width: int
    blocks: tuple[int, int, int, int]
    stem: Literal["small", "large"]
    cells: bool

    @property
    def features(self) -> int:
        """The number of features of a cell."""
        return 2 * self.width if self.cells else 8 * self.width

    @property
    def side_of(self) -> int:
        """The number of pixels of which the sides of a picture are multiples: the net halves it so often."""
        return 16 if self.stem == "small" else 32


class CellNetwork(nn.Module):
    """``features`` gives cells (B, F, h, w); ``classify`` scores each cell alone, ``pool`` all together."""

    def __init__(self, shape: NetworkShape, channels: int) -> None:
        super().__init__()
        self.cells = shape.cells
        widths = [shape.width * factor for factor in (1, 2, 4, 8)]
        self.stem = _stem(channels, shape)
        self.stages = nn.ModuleList()
        before = shape.width
        for index, (width, count) in enumerate(zip(widths, shape.blocks, strict=True)):
            strides = [1 if index == 0 else 2] + [1] * (count - 1)
            inputs = [before] + [width] * (count - 1)
            self.stages.append(
                nn.Sequential(*(_ConvBlock(inputs[k], width, strides[k]) for k in range(count)))
            )
            before = width
        self.top_down = _TopDown(widths[1:], shape.features) if shape.cells else nn.Identity()
        self.head = nn.Conv2d(shape.features, 1, 1)
        # The image's logit is softplus(steepness) · (log-sum-exp of the cells' logits) + offset.
        self.steepness = nn.Parameter(torch.zeros(()))
        self.offset = nn.Parameter(torch.zeros(()))
        if shape.cells and self.head.bias is not None:
            nn.init.constant_(self.head.bias, _RARE)

    def features(self, x: Tensor) -> Tensor:
        """Return (B, F, h, w) of pictures (B, C, H, W) in [0, 1]."""
        x = self.stem((x - _MEAN) / _SPREAD)
        levels = []
        for stage in self.stages:
            x = stage(x)
            levels.append(x)
        found: Tensor = self.top_down(levels[1:]) if self.cells else x
        return found

    def judged(self, features: Tensor) -> Tensor:
        """Return the cells that are scored: all of them, or one cell that is their mean."""
        return features if self.cells else features.mean((2, 3), keepdim=True)

    def classify(self, features: Tensor) -> Tensor:
        """Return logits (B, h, w) of being defective: the difference of the two outputs of a K = 2 head."""
        found: Tensor = self.head(features)
        return found[:, 0].float()

    def pool(self, cells: Tensor) -> Tensor:
        """Return the smooth maximum (B,) of cells (B, h, w), offset so that sqrt(h·w) zeros give 0."""
        count = cells.shape[1] * cells.shape[2]
        highest = torch.logsumexp(cells.flatten(1), dim=1) - 0.5 * torch.log(torch.tensor(float(count)))
        return functional.softplus(self.steepness) * highest + self.offset

    def grid(self, channels: int, height: int, width: int) -> tuple[int, int]:
        """Return how many cells there are down and across a picture of ``height`` x ``width`` pixels."""
        with torch.no_grad():
            _, _, down, across = self.features(torch.zeros(1, channels, height, width)).shape
        return down, across


class _ConvBlock(nn.Module):
    def __init__(self, before: int, width: int, stride: int) -> None:
        super().__init__()
        self.first = _convolution(before, width, 3, stride)
        self.second = nn.Sequential(nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width))
        plain = stride == 1 and before == width
        self.skip = (
            nn.Identity()
            if plain
            else nn.Sequential(nn.Conv2d(before, width, 1, stride, bias=False), nn.BatchNorm2d(width))
        )

    @override
    def forward(self, x: Tensor) -> Tensor:
        return functional.silu(self.second(self.first(x)) + self.skip(x))


class _TopDown(nn.Module):
    """Brings coarse levels down to the finest (Lin et al., CVPR 2017): 1x1 laterals, nearest, sum, 3x3."""

    def __init__(self, widths: list[int], features: int) -> None:
        super().__init__()
        self.laterals = nn.ModuleList(nn.Conv2d(width, features, 1) for width in widths)
        self.smooth = _convolution(features, features, 3, 1)

    @override
    def forward(self, levels: list[Tensor]) -> Tensor:
        found: Tensor | None = None
        for lateral, level in zip(reversed(self.laterals), reversed(levels), strict=True):
            own = lateral(level)
            if found is not None:
                own = own + functional.interpolate(found, size=own.shape[2:], mode="nearest")
            found = own
        smoothed: Tensor = self.smooth(found)
        return smoothed


def _stem(channels: int, shape: NetworkShape) -> nn.Module:
    if shape.stem == "small":
        return _convolution(channels, shape.width, 5, 2)
    return nn.Sequential(_convolution(channels, shape.width, 7, 2), nn.MaxPool2d(3, 2, 1))


def _convolution(before: int, width: int, kernel: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, width, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(width),
        nn.SiLU(inplace=True),
    )
