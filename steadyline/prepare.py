"""From a decoded picture to the model's input: one antialiased resize for scorer and trainer alike.

Numpy only. The filter is the antialiased triangle that Pillow and torch use: each output pixel is a weighted
mean of input pixels whose weights fall linearly to zero over one output pixel's width (at least one input's).
Weights are never negative and sum to 1, so a change of the picture by at most e changes no output by more.

No matrix product: a BLAS would sum in another order on another machine, and its threads spin between calls
(3.1 ms of CPU for a picture of 300 x 300, against 0.2). Sums of single products are the same bits everywhere.
"""

from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Channels = Literal["gray", "rgb"]
Pixels = NDArray[np.uint8]
Weights = NDArray[np.float32]
Tap = tuple[NDArray[np.intp], Weights]

_KEPT_SIZES = 64  # a line has a few camera formats; a matrix of 64 x 5000 is 1.3 MB


def prepare(picture: Pixels, size: int, channels: Channels) -> Pixels:
    """Return ``picture`` as (size, size, C) uint8, C = 1 for ``gray`` and 3 for ``rgb``.

    ``picture`` is (H, W), (H, W, 1) or (H, W, 3) uint8 of any size. The aspect ratio is not kept: every
    frame fills the input. Raises ValueError on another shape or type.
    """
    planes = _planes(picture, channels)
    rounded = _rounded(planes if planes.shape[:2] == (size, size) else resize(planes, size))
    return np.repeat(rounded, 3, axis=2) if rounded.shape[2] == 1 and channels == "rgb" else rounded


def resize(planes: NDArray[np.uint8] | NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """Return (H, W, C) as (size, size, C) float32, without rounding."""
    height, width, depth = planes.shape
    rows = _resize_rows(planes.reshape(height, width * depth), size).reshape(size, width, depth)
    sideways = np.ascontiguousarray(rows.transpose(1, 0, 2)).reshape(width, size * depth)
    return _resize_rows(sideways, size).reshape(size, size, depth).transpose(1, 0, 2)


@lru_cache(maxsize=_KEPT_SIZES)
def resize_weights(length: int, size: int) -> Weights:
    """Return the (size, length) float32 matrix that resizes one axis; each row sums to 1. Read-only."""
    scale = length / size
    reach = max(scale, 1.0)
    centres = (np.arange(size) + 0.5) * scale
    distances = np.abs(np.arange(length)[None, :] + 0.5 - centres[:, None]) / reach
    weights: NDArray[np.float64] = np.clip(1 - distances, 0, None)
    found: Weights = np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)
    found.setflags(write=False)
    return found


def _resize_rows(lines: NDArray[np.uint8] | NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """Return (length, M) as (size, M) float32: one product and one sum for every tap of the filter."""
    total = np.zeros((size, lines.shape[1]), np.float32)
    for places, weights in _taps(len(lines), size):
        total += np.multiply(lines[places], weights, dtype=np.float32)
    return total


@lru_cache(maxsize=_KEPT_SIZES)
def _taps(length: int, size: int) -> tuple[Tap, ...]:
    """Return the weights that are not zero, tap by tap: (size,) input places and their (size, 1) weights."""
    weights = resize_weights(length, size)
    count = int((weights > 0).sum(axis=1).max())
    first = np.minimum((weights > 0).argmax(axis=1), length - count)
    places = [first + tap for tap in range(count)]
    return tuple((place, weights[np.arange(size), place][:, None]) for place in places)


def _planes(picture: Pixels, channels: Channels) -> NDArray[np.uint8] | NDArray[np.float32]:
    """Return (H, W, C); gray is ITU-R BT.601, as JPEG and Pillow have it."""
    if picture.dtype != np.uint8 or picture.ndim not in (2, 3) or 0 in picture.shape:
        raise ValueError(f"a picture is (H, W) or (H, W, 3) uint8, not {picture.shape} {picture.dtype}")
    planes = picture[..., None] if picture.ndim == 2 else picture
    if planes.shape[2] not in (1, 3):
        raise ValueError(f"a picture has 1 or 3 channels, not {planes.shape[2]}")
    if channels == "rgb" or planes.shape[2] == 1:
        return planes
    red, green, blue = (planes[..., channel].astype(np.float32) for channel in range(3))
    gray: NDArray[np.float32] = red * np.float32(0.299) + green * np.float32(0.587) + blue * np.float32(0.114)
    return gray[..., None]


def _rounded(planes: NDArray[np.uint8] | NDArray[np.float32]) -> Pixels:
    rounded = planes if planes.dtype == np.uint8 else np.clip(np.rint(planes), 0, 255)
    return np.ascontiguousarray(rounded, np.uint8)
