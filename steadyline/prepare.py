"""Turn a decoded picture into the model's input by one antialiased resize, for scorer and trainer alike.

It uses numpy only. The filter is the antialiased triangle that Pillow and torch use: each output pixel is a
weighted mean of input pixels. The weights fall linearly to zero over the width of one output pixel (at least
one input pixel).

All arithmetic is on whole numbers, up to one rounding at the end. Weights are multiples of 2^-22, never
negative, and sum to exactly 1. The resize is therefore monotone, and a picture that is brighter by e
everywhere gives an input that is brighter by exactly e. So changing native pixels by at most e steps of 8
bits changes no pixel of the input by more than e steps (docs/certificate.md). Every sum is exact, so the bits
are the same on every machine and in any order.

Each axis is one contraction by numpy's own loops (docs/results/2026-11-29-resize.md). It is no product,
because the threads of a BLAS spin between calls (3.1 ms of CPU for a picture of 300 x 300, against 0.3).
"""

from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from steadyline.grid import Grid

Channels = Literal["gray", "rgb"]
Pixels = NDArray[np.uint8]
Weights = NDArray[np.float32]
Whole = NDArray[np.int32] | NDArray[np.float64]

# 255 · 2^22 fits into the 31 bits of the first pass, and 255 · 2^44 into the 53 bits of the second.
WEIGHT_BITS = 22
_GATHERED_BYTES = 1 << 20  # of the rows that are weighed at once: they stay in the second-level cache
_KEPT_SIZES = 64  # a line has few camera formats; the weights of 5000 pixels are 0.2 MB
_RED, _GREEN, _BLUE, _GRAY_BITS = 19595, 38470, 7471, 16  # ITU-R BT.601 in 2^-16, Pillow's own; the sum is 1


def prepare(picture: Pixels, grid: Grid, channels: Channels) -> Pixels:
    """Return ``picture`` as (height, width, C) uint8 of ``grid``, with C = 1 for ``gray`` and 3 for ``rgb``.

    ``picture`` is (H, W), (H, W, 1) or (H, W, 3) uint8 of any size. Every frame fills the grid, whose
    proportions may be others than its own. Raises ValueError on another shape or type.
    """
    planes = _planes(picture, channels)
    if planes.shape[:2] != grid:
        planes = np.floor(resize(planes, grid) + 0.5).astype(np.uint8)
    prepared = np.repeat(planes, 3, axis=2) if planes.shape[2] == 1 and channels == "rgb" else planes
    return np.ascontiguousarray(prepared)


def resize(planes: Pixels, grid: Grid) -> NDArray[np.float64]:
    """Resize (H, W, C) uint8 to (height, width, C) float64 of ``grid``, exactly and without rounding.

    The axis that leaves less between the two passes is resized first. The order changes no bit, because every
    sum is exact.
    """
    height, width, depth = planes.shape
    if grid.height * width > height * grid.width:
        turned = Grid(grid.width, grid.height)
        return resize(planes.transpose(1, 0, 2), turned).transpose(1, 0, 2)
    places, steps, _ = _weights(height, grid.height)
    rows = _contracted(np.ascontiguousarray(planes).reshape(height, width * depth), places, steps)
    sideways = rows.reshape(grid.height, width, depth).transpose(1, 0, 2).reshape(width, grid.height * depth)
    places, _, shares = _weights(width, grid.width)
    exact: NDArray[np.float64] = _contracted(sideways, places, shares) * 0.5 ** (2 * WEIGHT_BITS)
    return exact.reshape(grid.width, grid.height, depth).transpose(1, 0, 2)


def _contracted(values: Pixels | NDArray[Any], places: NDArray[np.intp], weights: Whole) -> NDArray[Any]:
    """Return (size, N) of ``values`` (length, N): the weighed sum of the rows at ``places`` (size, taps)."""
    size, taps = places.shape
    found = np.empty((size, values.shape[1]), weights.dtype)
    step = max(1, _GATHERED_BYTES // (taps * values.shape[1] * values.itemsize))
    for start in range(0, size, step):
        part = slice(start, start + step)
        gathered = values[places[part]]
        np.einsum("st,stn->sn", weights[part], gathered, out=found[part], dtype=weights.dtype)
    return found


def resize_weights(length: int, size: int) -> Weights:
    """Return the matrix (size, length) float32 that resizes one axis; rows sum to exactly 1."""
    places, _, shares = _weights(length, size)
    found = np.zeros((size, length), np.float32)
    found[np.arange(size)[:, None], places] = shares * 0.5**WEIGHT_BITS
    return found


@lru_cache(maxsize=_KEPT_SIZES)
def _weights(length: int, size: int) -> tuple[NDArray[np.intp], NDArray[np.int32], NDArray[np.float64]]:
    """Return the places (size, taps) of the pixels that each output pixel is made of, and their weights for
    the first pass and for the second.

    The weights are in steps of 2^-22. The triangle gives whole numbers per row. Their running sum is rounded,
    so that no part of the sum is lost.
    """
    reach = 2 * max(length, size)
    centres = (2 * np.arange(size) + 1) * length
    # The triangle reaches from the first pixel whose distance is under ``reach`` to the last one.
    first = np.clip(((centres - reach) // size + 1) // 2, 0, length)
    last = np.clip(((centres + reach) // size + 1) // 2, 0, length)
    count = int((last - first).max())
    first = np.minimum(first, length - count)
    places = first[:, None] + np.arange(count)
    apart = (2 * places + 1) * size - centres[:, None]
    running = np.clip(reach - np.abs(apart), 0, None).cumsum(axis=1)
    whole = running[:, -1:]
    edges = ((running << (WEIGHT_BITS + 1)) + whole) // (2 * whole)
    steps = np.diff(edges, axis=1, prepend=0)
    used = steps.any(axis=0)
    places, steps = places[:, used], steps[:, used]
    return places, steps.astype(np.int32), steps.astype(np.float64)


def _planes(picture: Pixels, channels: Channels) -> Pixels:
    """Return (H, W, C); gray is ITU-R BT.601, equal to that of JPEG and Pillow to the bit."""
    if picture.dtype != np.uint8 or picture.ndim not in (2, 3) or 0 in picture.shape:
        raise ValueError(f"a picture is (H, W) or (H, W, 3) uint8, not {picture.shape} {picture.dtype}")
    planes = picture[..., None] if picture.ndim == 2 else picture
    if planes.shape[2] not in (1, 3):
        raise ValueError(f"a picture has 1 or 3 channels, not {planes.shape[2]}")
    if channels == "rgb" or planes.shape[2] == 1:
        return planes
    red, green, blue = (planes[..., channel].astype(np.int32) for channel in range(3))
    gray = (red * _RED + green * _GREEN + blue * _BLUE + (1 << (_GRAY_BITS - 1))) >> _GRAY_BITS
    return gray.astype(np.uint8)[..., None]
