"""A map averaged over flips of the picture: defects have no handedness."""

from collections.abc import Callable

import torch
from torch import Tensor

FLIPS: tuple[tuple[int, ...], ...] = ((), (-1,), (-2,), (-1, -2))  # axes of (..., H, W)


def over_flips(mapped: Callable[[Tensor], Tensor], x: Tensor, flips: int) -> Tensor:
    """Return the mean map (B, h, w) over the first ``flips`` of pictures (B, C, S, S), each flipped back."""
    maps = []
    for axes in FLIPS[:flips]:
        heat = mapped(x.flip(axes) if axes else x)
        maps.append(heat.flip(axes) if axes else heat)
    return torch.stack(maps).mean(0)
