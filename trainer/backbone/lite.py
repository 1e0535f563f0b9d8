"""EfficientNet-Lite0 (Tan and Le, ICML 2019, without squeeze-and-excitation) in plain torch.

Parameters have the names of the published weights, so that loading is strict. Padding is TensorFlow's SAME: a
stride-2 convolution adds the odd pixel right and below. Any other padding changes the logits.
"""

import copy
from itertools import pairwise
from typing import TypeVar

from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import override

# repeats, kernel, first stride, expansion, output channels
_STAGES = ((1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80))
_LATE_STAGES = ((3, 5, 1, 6, 112), (4, 5, 2, 6, 192), (1, 3, 1, 6, 320))
_STEM, _HEAD, _CLASSES = 32, 1280, 1000
CHANNELS = tuple(stage[4] for stage in (*_STAGES, *_LATE_STAGES))
STRIDES = (2, 4, 8, 16, 16, 32, 32)

Module = TypeVar("Module", bound=nn.Module)


class Lite0(nn.Module):
    """``stages`` gives outputs of the first stages; ``forward`` gives 1000 ImageNet logits (for a test)."""

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem = _SamePadding(3, _STEM, 3, stride=2)
        self._bn0 = _norm(_STEM)
        blocks: list[nn.Module] = []
        self._ends: list[int] = []
        before = _STEM
        for repeats, kernel, stride, expansion, channels in (*_STAGES, *_LATE_STAGES):
            for index in range(repeats):
                blocks.append(
                    _InvertedResidual(before, channels, kernel, (stride if index == 0 else 1, expansion))
                )
                before = channels
            self._ends.append(len(blocks))
        self._blocks = nn.ModuleList(blocks)
        self._conv_head = _SamePadding(before, _HEAD, 1)
        self._bn1 = _norm(_HEAD)
        self._fc = nn.Linear(_HEAD, _CLASSES)

    def stages(self, x: Tensor, count: int = len(CHANNELS)) -> list[Tensor]:
        """Return the outputs of the first ``count`` stages of (B, 3, H, W) in [-1, 1], with STRIDES."""
        x = functional.relu6(self._bn0(self._conv_stem(x)))
        found = []
        for start, end in pairwise([0, *self._ends[:count]]):
            for block in list(self._blocks)[start:end]:
                x = block(x)
            found.append(x)
        return found

    @override
    def forward(self, x: Tensor) -> Tensor:
        """Return (B, 1000) of (B, 3, 224, 224) in [-1, 1]."""
        last = functional.relu6(self._bn1(self._conv_head(self.stages(x)[-1])))
        logits: Tensor = self._fc(last.mean((2, 3)))
        return logits


class _InvertedResidual(nn.Module):
    """An inverted residual (Sandler et al., CVPR 2018)."""

    def __init__(self, before: int, channels: int, kernel: int, how: tuple[int, int]) -> None:
        super().__init__()
        stride, expansion = how
        middle = before * expansion
        self._expands = expansion != 1
        self._skips = stride == 1 and before == channels
        if self._expands:
            self._expand_conv = _SamePadding(before, middle, 1)
            self._bn0 = _norm(middle)
        self._depthwise_conv = _SamePadding(middle, middle, kernel, stride=stride, groups=middle)
        self._bn1 = _norm(middle)
        self._project_conv = _SamePadding(middle, channels, 1)
        self._bn2 = _norm(channels)

    @override
    def forward(self, x: Tensor) -> Tensor:
        found = functional.relu6(self._bn0(self._expand_conv(x))) if self._expands else x
        found = functional.relu6(self._bn1(self._depthwise_conv(found)))
        projected: Tensor = self._bn2(self._project_conv(found))
        return x + projected if self._skips else projected


class _SamePadding(nn.Conv2d):
    """A convolution without bias and with TensorFlow's SAME padding."""

    def __init__(self, before: int, channels: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(before, channels, kernel, stride, groups=groups, bias=False)

    @override
    def forward(self, x: Tensor) -> Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        down, right = (max((-(-side // stride) - 1) * stride + kernel - side, 0) for side in x.shape[2:])
        padded = functional.pad(x, (right // 2, right - right // 2, down // 2, down - down // 2))
        return functional.conv2d(padded, self.weight, None, stride, 0, 1, self.groups)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


def frozen(network: Module) -> Module:
    """Return the network in eval mode, with gradients switched off for its parameters."""
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    return network.eval()


def as_input(x: Tensor) -> Tensor:
    """Convert (B, C, S, S) in [0, 1] to (B, 3, S, S) in [-1, 1]; a gray channel is repeated."""
    colour = x.expand(-1, 3, -1, -1) if x.shape[1] == 1 else x
    return colour * 2 - 1


def trimmed(network: Lite0, count: int) -> Lite0:
    """Return a copy with only what ``stages(x, count)`` needs, for models that contain the network."""
    copied = copy.deepcopy(network)
    copied._blocks = copied._blocks[: copied._ends[count - 1]]
    copied._ends = copied._ends[:count]
    copied._conv_head = copied._bn1 = copied._fc = nn.Identity()  # type: ignore[assignment]
    return copied
