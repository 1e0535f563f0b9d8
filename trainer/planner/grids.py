"""Which grids are tried, what each leaves of a defect, and which of them the budget allows. Pure."""

from collections.abc import Mapping, Sequence
from statistics import median

import numpy as np

from steadyline.grid import Grid, grid_for
from steadyline.prepare import Channels, prepare
from trainer.arrays import Pictures
from trainer.pseudo.acceptance import largest_change
from trainer.pseudo.native import NativeDefect

# Pixels of the grids that are tried, smallest first.
STEPS = tuple(side * side for side in (64, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048))
LEAST_LEFT = 4 / 255  # of the largest 2 x 2 mean change: a defect under that is averaged away
_COMPARED = 16  # defects; what is left of them is a median
_SETTLED = 0.01  # of an AUROC: two larger grids in a row that bring less end the search
_BEYOND = 1.3  # times the budget: a prediction over it is believed without a measurement


def grids_of(sizes: Sequence[tuple[int, int]]) -> list[Grid]:
    """Return the grids for frames of these sizes (height, width), smallest first, up to the frames' own."""
    most = median(height * width for height, width in sizes)
    found = [grid_for(pixels, sizes) for pixels in STEPS if pixels <= most * 1.1] or [
        grid_for(STEPS[0], sizes)
    ]
    return list(dict.fromkeys(found))


def left_of(
    defects: Sequence[NativeDefect], normals: Sequence[Pictures], grid: Grid, channels: Channels
) -> float:
    """Return what a grid leaves of defects: the median of their largest 2 x 2 mean change, of 1.

    ``normals`` are the pictures (H, W, C) that the defects were made of, at the camera's own pixels.
    """
    left = [
        largest_change(*(_floats(one, grid, channels) for one in (normals[defect.source], defect.picture)))
        for defect in defects[:_COMPARED]
    ]
    return median(left) if left else 0.0


def visible_from(left: Mapping[Grid, float]) -> Grid | None:
    """Return the smallest grid that leaves something of the defects; None when none does."""
    return next((grid for grid in sorted(left, key=lambda one: one.pixels) if left[grid] >= LEAST_LEFT), None)


def predicted_ms(measured: Mapping[Grid, float], grid: Grid) -> float | None:
    """Return what a grid will cost by the milliseconds a pixel of the largest measured one; None without."""
    if not measured:
        return None
    largest = max(measured, key=lambda one: one.pixels)
    return measured[largest] * grid.pixels / largest.pixels


def is_too_dear(measured: Mapping[Grid, float], grid: Grid, budget: float) -> bool:
    """Tell whether a detector need not be measured at ``grid``, by its milliseconds at smaller ones."""
    if any(ms > budget for ms in measured.values()):
        return True
    expected = predicted_ms(measured, grid)
    return expected is not None and expected > budget * _BEYOND


def is_settled(aurocs: Sequence[float]) -> bool:
    """Tell whether larger grids have stopped to pay, by a detector's AUROC at each grid, smallest first."""
    return len(aurocs) >= 3 and max(aurocs[-2:]) < max(aurocs[:-2]) + _SETTLED


def _floats(picture: Pictures, grid: Grid, channels: Channels) -> np.ndarray:
    return np.asarray(prepare(picture, grid, channels) / np.float32(255), np.float32)
