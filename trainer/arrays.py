"""The types of pictures, masks, banks and known defects as arrays."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Pictures = NDArray[np.uint8]  # (N, S, S, C)
Masks = NDArray[np.bool_]  # (N, S, S)


@dataclass(frozen=True, slots=True)
class PseudoBank:
    """Pseudo-anomalies: pictures (M, S, S, C), masks (M, S, S); ``source`` (M,) indexes the normals."""

    pictures: Pictures
    masks: Masks
    source: NDArray[np.int64]
    transform: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class KnownDefects:
    """Real defects that people marked: pictures (K, S, S, C), each with a mask (S, S) or None."""

    pictures: Pictures
    masks: tuple[Masks | None, ...]
