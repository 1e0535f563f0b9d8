"""Where crops are cut: more often where a normal has structure, and always inside the picture."""

from typing import TypeVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from trainer.arrays import Pictures

BLOCK = 16  # side in pixels of the blocks whose energy is compared
EVEN = 0.2  # share of the places that are drawn evenly, so that plain areas are learned too

Corner = tuple[int, int]  # row and column of the upper left pixel
Floats = NDArray[np.float64]
Pixel = TypeVar("Pixel", bound=np.generic)


class EnergyPlaces:
    """Draws places in normals (N, H, W, C) uint8: .8 by the deviation of their blocks, .2 evenly."""

    def __init__(self, normals: Pictures) -> None:
        self.height, self.width = normals.shape[1:3]
        self._down, self._across = (max(1, side // BLOCK) for side in (self.height, self.width))
        self._shares = np.stack([self._share(picture) for picture in normals])

    def draw(self, source: int, rng: Generator) -> Corner:
        """Return the row and the column of a pixel of the normal ``source``."""
        block = int(np.searchsorted(self._shares[source], rng.random(), side="right"))
        row, column = divmod(min(block, self._down * self._across - 1), self._across)
        inside = rng.integers(0, BLOCK, 2)
        return (
            min(row * BLOCK + int(inside[0]), self.height - 1),
            min(column * BLOCK + int(inside[1]), self.width - 1),
        )

    def _share(self, picture: Pictures) -> Floats:
        """Return the cumulative shares of the blocks, row by row; the last is 1."""
        high, wide = min(BLOCK, self.height), min(BLOCK, self.width)
        whole = picture[: self._down * high, : self._across * wide].astype(np.float32).mean(axis=2)
        spread = whole.reshape(self._down, high, self._across, wide).std(axis=(1, 3)).flatten()
        total = float(spread.sum())
        own = spread / total if total > 0 else np.full(spread.shape, 1 / len(spread))
        return np.cumsum((1 - EVEN) * own + EVEN / len(own), dtype=np.float64)


def centred(pixel: Corner, size: Corner, within: Corner) -> Corner:
    """Return the corner of a crop of ``size`` around ``pixel``, moved inside a picture of size ``within``."""
    return _inside((pixel[0] - size[0] // 2, pixel[1] - size[1] // 2), size, within)


def around(pixel: Corner, size: Corner, within: Corner, rng: Generator) -> Corner:
    """Return the corner of a crop in which ``pixel`` lies anywhere but in the outer eighth.

    A net that always saw defects in the middle of a crop would learn the middle.
    """
    offsets = [int(rng.integers(side // 8, side - side // 8)) for side in size]
    return _inside((pixel[0] - offsets[0], pixel[1] - offsets[1]), size, within)


def crop_size(side: int, within: Corner) -> Corner:
    """Return height and width of the crops of pictures of size ``within``."""
    return min(side, within[0]), min(side, within[1])


def cut(picture: NDArray[Pixel], corner: Corner, size: Corner) -> NDArray[Pixel]:
    """Return the crop of a picture or a mask (H, W, …)."""
    return picture[corner[0] : corner[0] + size[0], corner[1] : corner[1] + size[1]]


def _inside(corner: Corner, size: Corner, within: Corner) -> Corner:
    top, left = (min(max(at, 0), whole - side) for at, side, whole in zip(corner, size, within, strict=True))
    return top, left
