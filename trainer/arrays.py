"""Pictures, masks and defects as arrays."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Pictures = NDArray[np.uint8]  # (N, S, S, C)
Masks = NDArray[np.bool_]  # (N, S, S)


@dataclass(frozen=True, slots=True)
class PseudoBank:
    """Pseudo-anomalies as arrays: (M, S, S, C), (M, S, S); ``source`` (M,) indexes the training normals."""

    pictures: Pictures
    masks: Masks
    source: NDArray[np.int64]
    transform: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class KnownDefects:
    """Real defects that operators marked: (K, S, S, C), and where, (K, S, S), for those that say so."""

    pictures: Pictures
    masks: tuple[Masks | None, ...]
