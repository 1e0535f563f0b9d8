"""The types of pictures, masks, banks and known defects as arrays."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Pictures = NDArray[np.uint8]  # (N, H, W, C)
Masks = NDArray[np.bool_]  # (N, H, W)


@dataclass(frozen=True, slots=True)
class PseudoBank:
    """Pseudo-anomalies: pictures (M, H, W, C), masks (M, H, W); ``source`` (M,) indexes the normals."""

    pictures: Pictures
    masks: Masks
    source: NDArray[np.int64]
    transform: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class KnownDefects:
    """Real defects that people marked: pictures (K, H, W, C), each with a mask (H, W) or None."""

    pictures: Pictures
    masks: tuple[Masks | None, ...]
