"""A correction of pixel values as tables of whole numbers: the same bits in trainer and scorer. Pure.

Each output value is monotone in its pixel and depends on no other. So it can be said exactly, by looking at
the tables, what a change of the frame becomes behind them: the certificate of a verdict stays one
(docs/certificate.md).
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float64]

LEVELS = 256  # values of 8 bits
_MOST_TABLES = 64  # different gains of a gradient; a step between two is below 1 % for a gradient of +-25 %
_KEPT = 64  # corrections whose tables are kept: one a camera


@dataclass(frozen=True, slots=True)
class Correction:
    """Value v of channel c at a place becomes ``gains[c]`` · g · v + ``offsets[c]``, cut at 0 and 255,
    rounded.

    One gain and one offset are those of every channel. ``slopes`` are those of log g to the right and down,
    over coordinates that run from -1 to 1; with none g is 1.
    """

    gains: tuple[float, ...] = (1.0,)
    offsets: tuple[float, ...] = (0.0,)
    slopes: tuple[float, ...] = ()


IDENTITY = Correction()


class CorrectionTables:
    """A correction of pictures of one shape: a table (256,) for each channel and each gain of the
    gradient.
    """

    def __init__(self, correction: Correction, shape: tuple[int, int, int]) -> None:
        height, width, channels = shape
        levels, self._places = _levels(gains_of(correction.slopes, height, width))
        gains = np.broadcast_to(correction.gains, channels)[:, None] * levels
        offsets = np.broadcast_to(correction.offsets, channels)[:, None, None]
        values = np.arange(LEVELS, dtype=np.float64)
        exact = gains[..., None] * values + offsets  # (C, tables, 256)
        self._tables = _rounded(exact)
        self._cut = ((exact < -0.5) | (exact >= LEVELS - 0.5)).astype(np.uint8)
        self._back = _rounded((values - offsets) / gains[..., None])
        self._widest = _widest(self._tables)

    def apply(self, picture: Pixels) -> Pixels:
        """Return the corrected picture (H, W, C) uint8."""
        return self._through(self._tables, picture)

    def undo(self, picture: Pixels) -> Pixels:
        """Return the picture (H, W, C) that is corrected to this one, as nearly as 8 bits hold it."""
        return self._through(self._back, picture)

    def clipped(self, picture: Pixels) -> int:
        """Return how many values of a picture (H, W, C) the correction cuts at 0 or 255."""
        return int(self._through(self._cut, picture).sum(dtype=np.int64))

    def native_margin(self, margin: int) -> int:
        """Return by how many whole steps each pixel may change in front of the correction, so that none
        changes by more than ``margin`` behind it; never more than ``margin`` itself.
        """
        return min(int(np.flatnonzero(self._widest <= margin)[-1]), margin)

    def _through(self, tables: Pixels, picture: Pixels) -> Pixels:
        planes = [tables[c][self._places, picture[..., c]] for c in range(picture.shape[2])]
        return np.stack(planes, axis=2)


@lru_cache(maxsize=_KEPT)
def tables_of(correction: Correction, shape: tuple[int, int, int]) -> CorrectionTables:
    """Return the tables of a correction for pictures of ``shape`` (H, W, C); those used last are kept."""
    return CorrectionTables(correction, shape)


def corrected(correction: Correction, pictures: Pixels) -> Pixels:
    """Return corrected pictures (N, H, W, C)."""
    _, height, width, channels = pictures.shape
    tables = tables_of(correction, (height, width, channels))
    return np.stack([tables.apply(picture) for picture in pictures])


def uncorrected(correction: Correction, pictures: Pixels) -> Pixels:
    """Return the pictures (N, H, W, C) that are corrected to these, as nearly as 8 bits hold them."""
    _, height, width, channels = pictures.shape
    tables = tables_of(correction, (height, width, channels))
    return np.stack([tables.undo(picture) for picture in pictures])


def gains_of(slopes: tuple[float, ...], height: int, width: int) -> Floats:
    """Return the further factor (H, W) of each place; 1 with no slopes."""
    if not slopes:
        return np.ones((height, width))
    x, y = (2 * np.arange(width) + 1 - width) / width, (2 * np.arange(height) + 1 - height) / height
    found: Floats = np.exp(slopes[0] * x[None, :] + slopes[1] * y[:, None])
    return found


def _levels(gains: Floats) -> tuple[Floats, NDArray[np.intp]]:
    """Return at most _MOST_TABLES gains, evenly spread in their logarithm, and which of them each place
    takes.
    """
    logs = np.log(gains)
    low, high = float(logs.min()), float(logs.max())
    if high == low:
        return np.array([np.exp(low)]), np.zeros(gains.shape, np.intp)
    step = (high - low) / (_MOST_TABLES - 1)
    return np.exp(low + step * np.arange(_MOST_TABLES)), np.rint((logs - low) / step).astype(np.intp)


def _rounded(values: Floats) -> Pixels:
    found: Pixels = np.floor(np.clip(values, 0, LEVELS - 1) + 0.5).astype(np.uint8)
    return found


def _widest(tables: Pixels) -> NDArray[np.intp]:
    """Return (256,): the largest change behind any table of a value that changes by 0, 1, ... steps before
    it.
    """
    wide = tables.reshape(-1, LEVELS).astype(np.intp)
    return np.array([(wide[:, change:] - wide[:, : LEVELS - change]).max() for change in range(LEVELS)])
