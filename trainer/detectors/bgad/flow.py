"""A conditional normalizing flow over single feature vectors, made only of layers that ONNX can export.

Affine couplings (Dinh et al., ICLR 2017) alternate with fixed random rotations. They are conditioned on the
place of the vector, as in CFLOW-AD (Gudovskiy et al., WACV 2022) and BGAD (Yao et al., CVPR 2023). The last
layer of a coupling starts at zero, so that an untrained flow is the standard normal density.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import override

CODE = 128  # length of the code of a place
_LONGEST = 10_000.0  # the longest wavelength in the code
_CLAMP, _SLOPE = 1.9, 0.1  # a coupling scales by exp(1.9 tanh(.1 a))


@dataclass(frozen=True, slots=True)
class FlowShape:
    """A flow has ``couplings`` layers; each is a perceptron with one hidden layer of ``hidden`` numbers."""

    couplings: int
    hidden: int


class NormalizingFlow(nn.Module):
    """The log-density of vectors of ``channels`` numbers on a grid of ``size`` (rows, columns) of cells."""

    code: Tensor

    def __init__(self, channels: int, size: tuple[int, int], shape: FlowShape, seed: int) -> None:
        """``seed`` determines the rotations and the initial weights."""
        super().__init__()
        random = torch.Generator().manual_seed(seed)
        self._channels = channels
        self.register_buffer("code", place_code(size), persistent=False)
        self.couplings = nn.ModuleList(
            Coupling(channels, shape.hidden, random) for _ in range(shape.couplings)
        )

    @override
    def forward(self, x: Tensor, places: Tensor | None = None) -> Tensor:
        """Return log p / channels of (V, channels) in the cells ``places`` (V,), or of (B, cells, channels).

        log p = -C/2 log 2 pi - |z|²/2 + log|det J|, per dimension (BGAD, eq. 2 and its scaling).
        """
        volume = torch.zeros(())
        for coupling in self.couplings:
            x, grown = coupling(x, self.code, places)
            volume = volume + grown
        return (volume - 0.5 * (x * x).sum(-1)) / self._channels - 0.5 * math.log(2 * math.pi)


class Coupling(nn.Module):
    """Rotate a vector, then scale and shift one half of it as a function of the other half and its place."""

    rotation: Tensor

    def __init__(self, channels: int, hidden: int, random: torch.Generator) -> None:
        super().__init__()
        self._kept = channels // 2
        moved = channels - self._kept
        rotation = torch.linalg.qr(torch.randn(channels, channels, generator=random))[0]
        self.register_buffer("rotation", rotation)
        self.seen = _linear(self._kept, hidden, random)
        self.place = _linear(CODE, hidden, random)
        self.move = _linear(hidden, 2 * moved, random)
        nn.init.zeros_(self.move.weight)
        nn.init.zeros_(self.move.bias)

    @override
    def forward(self, x: Tensor, code: Tensor, places: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return the moved vectors and log|det J| of each; a rotation contributes zero."""
        at = self.place(code)
        x = x @ self.rotation
        kept, moved = x[..., : self._kept], x[..., self._kept :]
        hidden = functional.relu(self.seen(kept) + (at if places is None else at[places]))
        scale, shift = self.move(hidden).chunk(2, -1)
        scale = _CLAMP * torch.tanh(_SLOPE * scale)
        return torch.cat([kept, moved * scale.exp() + shift], -1), scale.sum(-1)


def place_code(size: tuple[int, int]) -> Tensor:
    """Return (cells, CODE) of ``size`` (rows, columns): sines and cosines of each cell's row, then column."""
    frequencies = _LONGEST ** -(torch.arange(CODE // 4) / (CODE // 4))
    angles = torch.arange(max(size))[:, None] * frequencies
    waves = torch.cat([angles.sin(), angles.cos()], 1)
    height, width = size
    rows = waves[:height, None].expand(height, width, -1)
    columns = waves[None, :width].expand(height, width, -1)
    return torch.cat([rows, columns], 2).reshape(height * width, CODE)


def _linear(inputs: int, outputs: int, random: torch.Generator) -> nn.Linear:
    """Return a linear layer whose weights are drawn from ``random``, uniformly within 1 / sqrt(inputs)."""
    layer = nn.Linear(inputs, outputs)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.uniform_(-1, 1, generator=random).div_(math.sqrt(inputs))
    return layer
