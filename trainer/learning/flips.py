"""Average a map over flips of the picture, because defects have no handedness."""

from collections.abc import Callable

import torch
from torch import Tensor

FLIPS: tuple[tuple[int, ...], ...] = ((), (-1,), (-2,), (-1, -2))  # axes of (..., H, W)


def test_time_augmentation(mapped: Callable[[Tensor], Tensor], x: Tensor, flips: int) -> Tensor:
    """Return the mean map (B, h, w) over ``flips`` of (B, C, S, S), each map flipped back."""
    maps = []
    for axes in FLIPS[:flips]:
        anomaly_map = mapped(x.flip(axes) if axes else x)
        maps.append(anomaly_map.flip(axes) if axes else anomaly_map)
    return torch.stack(maps).mean(0)
