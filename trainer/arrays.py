"""The types of pictures, masks, banks and known defects as arrays."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Pictures = NDArray[np.uint8]  # (N, H, W, C)
Masks = NDArray[np.bool_]  # (N, H, W)


@dataclass(frozen=True, slots=True)
class PseudoBank:
    """Pseudo-anomalies: pictures (M, H, W, C), masks (M, H, W); ``source`` (M,) indexes the normals.

    Where they are crops, ``corner`` (M, 2) is the row and the column of each crop's upper left pixel in its
    normal. It is None where they are as large as the normals.
    """

    pictures: Pictures
    masks: Masks
    source: NDArray[np.int64]
    transform: tuple[str, ...]
    corner: NDArray[np.int64] | None = None

    def subset(self, kept: NDArray[np.intp]) -> "PseudoBank":
        """Return the pseudo-anomalies numbered in ``kept``."""
        return PseudoBank(
            self.pictures[kept],
            self.masks[kept],
            self.source[kept],
            tuple(self.transform[index] for index in kept),
            None if self.corner is None else self.corner[kept],
        )


@dataclass(frozen=True, slots=True)
class KnownDefects:
    """Real defects that people marked: pictures (K, H, W, C), each with a mask (H, W) or None."""

    pictures: Pictures
    masks: tuple[Masks | None, ...]
