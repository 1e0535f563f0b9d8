"""Augmentations: how two pictures of one good part may differ in place and light."""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional


@dataclass(frozen=True, slots=True)
class Light:
    """How far the light may vary, as fractions: contrast, gain, gain of each colour, offset, noise.

    ``noisy`` and ``blurred`` are the shares of pictures with noise and with a slight blur.
    """

    contrast: float
    gain: float
    colour: float
    offset: float
    noise: float
    noisy: float
    blurred: float


# How much lamps and sensors of one line vary.
LINE_LIGHT = Light(contrast=0.2, gain=0.25, colour=0.05, offset=0.06, noise=0.03, noisy=0.4, blurred=0.2)


def flip(batch: Tensor, across: Tensor, upside_down: Tensor) -> Tensor:
    """Return (B, C, H, W), with the pictures marked in ``across`` and ``upside_down`` (B,) bool flipped."""
    batch = torch.where(across[:, None, None, None], batch.flip(-1), batch)
    return torch.where(upside_down[:, None, None, None], batch.flip(-2), batch)


def move(batch: Tensor, way: Tensor) -> Tensor:
    """Return (B, C, H, W) moved right and down by ``way`` (B, 2), in fractions of the side.

    Pixels are interpolated linearly and the edge is repeated, so values keep their range.
    """
    turn = torch.eye(2).expand(len(way), 2, 2)
    grid = functional.affine_grid(
        torch.cat([turn, -2 * way[:, :, None]], 2), list(batch.shape), align_corners=False
    )
    return functional.grid_sample(batch, grid, padding_mode="border", align_corners=False)


def relight(batch: Tensor, light: Light, random: Generator) -> Tensor:
    """Return (B, C, H, W) in [0, 1], each picture with random light, noise and focus of its own."""

    def draw() -> Tensor:
        return torch.rand((len(batch), 1, 1, 1), generator=random)

    if batch.shape[1] > 1:
        tint = torch.rand((*batch.shape[:2], 1, 1), generator=random)
        batch = batch * (1 + (2 * tint - 1) * light.colour)
    mean = batch.mean((2, 3), keepdim=True)
    contrast = 1 + (2 * draw() - 1) * light.contrast
    gain = 1 + (2 * draw() - 1) * light.gain
    lit = (batch - mean) * contrast + mean * gain + (2 * draw() - 1) * light.offset
    strength = draw() * light.noise * (draw() < light.noisy)
    lit = lit + torch.randn(batch.shape, generator=random) * strength
    soft = functional.avg_pool2d(functional.pad(lit, (1, 1, 1, 1), mode="reflect"), 3, 1)
    return torch.where(draw() < light.blurred, 0.4 * lit + 0.6 * soft, lit).clamp(0, 1)
