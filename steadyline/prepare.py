"""From a decoded picture to the model's input: one antialiased resize for scorer and trainer alike.

Numpy only. The filter is the antialiased triangle that Pillow and torch use: each output pixel is a weighted
mean of input pixels whose weights fall linearly to zero over one output pixel's width (at least one input's).
Weights are never negative and sum to 1, so a change of the picture by at most e changes no output by more.
"""

from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Channels = Literal["gray", "rgb"]
Pixels = NDArray[np.uint8]
Weights = NDArray[np.float32]

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, as JPEG and Pillow
_KEPT_SIZES = 64  # a line has a few camera formats; a matrix of 64 x 5000 is 1.3 MB


def prepare(picture: Pixels, size: int, channels: Channels) -> Pixels:
    """Return ``picture`` as (size, size, C) uint8, C = 1 for ``gray`` and 3 for ``rgb``.

    ``picture`` is (H, W), (H, W, 1) or (H, W, 3) uint8 of any size. The aspect ratio is not kept: every
    frame fills the input. Raises ValueError on another shape or type.
    """
    planes = _planes(picture, channels)
    if planes.shape[:2] == (size, size):
        return _rounded(planes)
    resized = resize(planes, size)
    return _rounded(resized)


def resize(planes: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """Return (H, W, C) float32 as (size, size, C) float32, without rounding."""
    height, width, depth = planes.shape
    rows = resize_weights(height, size) @ planes.reshape(height, width * depth)
    columns = rows.reshape(size, width, depth).transpose(0, 2, 1) @ resize_weights(width, size).T
    return np.asarray(columns, np.float32).transpose(0, 2, 1)


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


def _planes(picture: Pixels, channels: Channels) -> NDArray[np.float32]:
    if picture.dtype != np.uint8 or picture.ndim not in (2, 3) or 0 in picture.shape:
        raise ValueError(f"a picture is (H, W) or (H, W, 3) uint8, not {picture.shape} {picture.dtype}")
    if picture.ndim == 2:
        picture = picture[..., None]
    planes = picture.astype(np.float32)
    if planes.shape[2] not in (1, 3):
        raise ValueError(f"a picture has 1 or 3 channels, not {planes.shape[2]}")
    if channels == "gray":
        return planes if planes.shape[2] == 1 else (planes @ _LUMA)[..., None]
    return planes if planes.shape[2] == 3 else np.repeat(planes, 3, axis=2)


def _rounded(planes: NDArray[np.float32]) -> Pixels:
    return np.ascontiguousarray(np.clip(np.rint(planes), 0, 255).astype(np.uint8))
