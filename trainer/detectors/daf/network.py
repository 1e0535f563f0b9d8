"""Teacher, student and decoder. The teacher's weights are those of ImageNet and are never changed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import override

from trainer.backbone.lite import CHANNELS, STRIDES, Lite0, as_input, frozen
from trainer.detectors.daf.discrepancy import Agreement, agreement

_FLAT = 1e-3  # the least deviation of a channel over normals; one below it is as good as dead
_RARE = -2.0  # initial bias of the map's logit, because few pixels are defective


@dataclass(frozen=True, slots=True)
class DafShape:
    """``stages`` of the teacher are counted from 1 and go from fine to coarse.

    ``student`` and ``decoder`` are their channels at the finest stage, which double at each coarser one.
    ``window`` is the side of the window of the SSIM. The decoder gets the features of the network that it
    ``decodes`` (in the paper: the student) and, with ``cue``, the discrepancy.
    """

    stages: tuple[int, ...]
    student: int
    decoder: int
    window: int
    cue: bool
    decodes: Literal["student", "teacher"]

    @property
    def channels(self) -> list[int]:
        """The teacher's channels at each stage."""
        return [CHANNELS[stage - 1] for stage in self.stages]

    @property
    def strides(self) -> list[int]:
        """The pixels from one cell to the next at each stage."""
        return [STRIDES[stage - 1] for stage in self.stages]

    def widths(self, finest: int) -> list[int]:
        """Return ``finest``, doubled from stage to stage."""
        return [finest << place for place in range(len(self.stages))]


class Teacher(nn.Module):
    """The frozen network's stages, each channel standardised by its mean and deviation over normals."""

    def __init__(self, network: Lite0, shape: DafShape) -> None:
        """``network`` is trimmed to the last stage of ``shape``; nothing is standardised before ``fit``."""
        super().__init__()
        self._stages = shape.stages
        self.network = frozen(network)
        for index, channels in enumerate(shape.channels):
            self.register_buffer(f"mean_{index}", torch.zeros(channels))
            self.register_buffer(f"spread_{index}", torch.ones(channels))

    @torch.no_grad()
    def fit(self, normals: Iterable[Tensor]) -> None:
        """Learn the mean and the deviation of each channel from batches of normals (B, C, H, W) in [0, 1].

        Only sums are kept, so that it takes no more memory for more pictures.
        """
        count = torch.zeros(len(self._stages), dtype=torch.float64)
        sums = [
            torch.zeros(2, len(self.get_buffer(f"mean_{i}")), dtype=torch.float64) for i in range(len(count))
        ]
        for part in normals:
            for index, stage in enumerate(self._raw(part)):
                values = stage.transpose(0, 1).flatten(1).double()
                count[index] += values.shape[1]
                sums[index] += torch.stack([values.sum(1), values.square().sum(1)])
        for index, (total, squares) in enumerate(sums):
            mean = total / count[index]
            spread = ((squares - count[index] * mean.square()) / (count[index] - 1)).clamp(min=0).sqrt()
            self.get_buffer(f"mean_{index}").copy_(mean)
            self.get_buffer(f"spread_{index}").copy_(spread.clamp(min=_FLAT))

    @override
    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the stages (B, C_i, h_i, w_i) of pictures (B, C, H, W) in [0, 1]."""
        return [
            (found - self.get_buffer(f"mean_{index}")[:, None, None])
            / self.get_buffer(f"spread_{index}")[:, None, None]
            for index, found in enumerate(self._raw(x))
        ]

    def _raw(self, x: Tensor) -> list[Tensor]:
        found = self.network.stages(as_input(x), max(self._stages))
        return [found[stage - 1] for stage in self._stages]


class Student(nn.Module):
    """A small residual net whose outputs have the teacher's shapes.

    It starts from random weights: a student that starts from the teacher's weights agrees with it on defects
    too.
    """

    def __init__(self, shape: DafShape, channels: int) -> None:
        super().__init__()
        before, stride = shape.student, 2
        steps = [_convolution(channels, before, 5, 2)]
        while stride < shape.strides[0]:
            steps.append(_convolution(before, before, 3, 2))
            stride *= 2
        self.stem = nn.Sequential(*steps)
        self.blocks, self.heads = nn.ModuleList(), nn.ModuleList()
        rows = zip(shape.widths(shape.student), shape.channels, shape.strides, strict=True)
        for width, wanted, own in rows:
            self.blocks.append(_Residual(before, width, own // stride))
            self.heads.append(nn.Conv2d(width, wanted, 1))
            before, stride = width, own

    @override
    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the stages (B, C_i, h_i, w_i) of pictures (B, C, H, W) in [0, 1]."""
        x, found = self.stem(x * 2 - 1), []
        for block, head in zip(self.blocks, self.heads, strict=True):
            x = block(x)
            found.append(head(x))
        return found


class Decoder(nn.Module):
    """Decode from coarse to fine: each scale joins the coarser scale, the features and the discrepancy.

    Each scale but the finest has an auxiliary head, which is used in training only.
    """

    def __init__(self, shape: DafShape) -> None:
        super().__init__()
        self._cue = shape.cue
        self.joins = nn.ModuleList()
        above, widths = 0, shape.widths(shape.decoder)
        for channels, width in zip(reversed(shape.channels), reversed(widths), strict=True):
            seen = channels * (2 if shape.cue else 1) + above
            self.joins.append(
                nn.Sequential(_convolution(seen, width, 3, 1), _convolution(width, width, 3, 1))
            )
            above = width
        self.auxiliary = nn.ModuleList(_head(width) for width in reversed(widths[1:]))
        self.head = _head(shape.decoder)

    @override
    def forward(self, cues: Sequence[Tensor], features: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Return the map's logits (B, h, w) and the auxiliary heads' logits (B, h_i, w_i), coarse to fine."""
        scales: list[Tensor] = []
        for join, cue, own in zip(self.joins, reversed(cues), reversed(features), strict=True):
            parts = [cue.to(own.dtype), own] if self._cue else [own]
            if scales:
                parts.append(_enlarged(scales[-1], own.shape[2:]))
            scales.append(join(torch.cat(parts, 1)))
        # served decoders have no auxiliary heads
        auxiliary = [head(scale)[:, 0].float() for head, scale in zip(self.auxiliary, scales, strict=False)]
        return self.head(scales[-1])[:, 0].float(), auxiliary


@dataclass(frozen=True, slots=True)
class DafOutputs:
    """``stages`` (fine to coarse), the map's logits (B, h, w), the auxiliary heads' (coarse to fine)."""

    stages: list[Agreement]
    anomaly_map: Tensor
    auxiliary: list[Tensor]


class Learner(nn.Module):
    """Everything that is trained: student and decoder."""

    def __init__(self, shape: DafShape, channels: int) -> None:
        super().__init__()
        self._window, self._decodes_student = shape.window, shape.decodes == "student"
        self.student, self.decoder = Student(shape, channels), Decoder(shape)

    @override
    def forward(self, due: Sequence[Tensor], x: Tensor, teacher: Sequence[Tensor]) -> DafOutputs:
        """Return the outputs for pictures ``x`` (B, C, H, W), whose stages by the teacher are ``teacher``.

        ``due`` are the stages that the student should reproduce: the same, or those of the pictures without
        defects.
        """
        own = self.student(x)
        stages = [agreement(wanted, got, self._window) for wanted, got in zip(due, own, strict=True)]
        features = own if self._decodes_student else [stage.to(own[0].dtype) for stage in teacher]
        return DafOutputs(stages, *self.decoder([stage.discrepancy for stage in stages], features))


class _Residual(nn.Module):
    def __init__(self, before: int, width: int, stride: int) -> None:
        super().__init__()
        self.first = _convolution(before, width, 3, stride)
        self.second = nn.Sequential(nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width))
        self.skip = (
            nn.Identity()
            if stride == 1 and before == width
            else nn.Sequential(nn.Conv2d(before, width, 1, stride, bias=False), nn.BatchNorm2d(width))
        )

    @override
    def forward(self, x: Tensor) -> Tensor:
        return functional.silu(self.second(self.first(x)) + self.skip(x))


def _convolution(before: int, width: int, kernel: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, width, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(width),
        nn.SiLU(inplace=True),
    )


def _enlarged(x: Tensor, size: Sequence[int]) -> Tensor:
    """Resize to (B, C, *size), unless ``x`` has that size already."""
    if x.shape[2:] == tuple(size):
        return x
    return functional.interpolate(x, size=tuple(size), mode="bilinear", align_corners=False)


def _head(width: int) -> nn.Conv2d:
    head = nn.Conv2d(width, 1, 1)
    assert head.bias is not None
    nn.init.constant_(head.bias, _RARE)
    return head
