"""Feature vectors of pictures, computed once and kept in memory, from which each step draws."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from trainer.arrays import Pictures
from trainer.detectors.bgad.defects import Located, defective_cells
from trainer.detectors.bgad.levels import Levels
from trainer.learning.vary import CameraChanges, views

AT_ONCE = 16  # pictures, whose activations take 150 MB at 224 pixels
MOST_BYTES = 1 << 30  # of features kept in memory; pictures beyond it are left out evenly


@dataclass(frozen=True, slots=True)
class Vectors:
    """Whitened vectors (V, channels) of one level, their cells (V,), and the deviation of their noise."""

    values: Tensor
    places: Tensor
    noise: Tensor

    def draw(self, count: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return ``count`` noisy vectors and their cells, or as many as there are when that is fewer.

        They are drawn from ``random`` with replacement, so that drawing a few takes as long however many
        there are.
        """
        rows = torch.randint(len(self.values), (min(count, len(self.values)),), generator=random)
        found = self.values[rows]
        return found + self.noise * torch.randn(found.shape, generator=random), self.places[rows]


def raw_features(levels: Levels, pictures: Pictures) -> list[Tensor]:
    """Return features (N, cells, channels) per level of pictures (N, H, W, C) uint8."""
    parts = []
    with torch.inference_mode():
        for x in batches(pictures):
            parts.append(levels.raw(x))
    return [torch.cat(level).clone() for level in zip(*parts, strict=True)]


def batches(pictures: Pictures) -> Iterator[Tensor]:
    """Yield batches (B, C, H, W) in [0, 1]."""
    for start in range(0, len(pictures), AT_ONCE):
        part = np.ascontiguousarray(pictures[start : start + AT_ONCE])
        yield torch.from_numpy(part).permute(0, 3, 1, 2).float() / 255


def seen_in_training(normals: Pictures, changes: CameraChanges, seed: int, bytes_each: int) -> Pictures:
    """Return the normals (N, H, W, C), as they are and varied, each copy with its mirror image.

    They are evenly thinned so that their features fit into MOST_BYTES.
    """
    most = max(1, MOST_BYTES // bytes_each)
    whole = 2 * len(normals) * (changes.copies + 1)
    chosen = set(np.linspace(0, whole - 1, min(whole, most)).round().astype(int).tolist())
    found: list[Pictures] = []
    number = 0
    for part, _ in views(normals, changes, seed, AT_ONCE):
        for picture in part:
            found += [one for one in (picture, picture[:, ::-1]) if (number := number + 1) - 1 in chosen]
    return np.stack(found)


def of_normals(whitened: list[Tensor], noise: list[Tensor]) -> list[Vectors]:
    """Return all vectors of the normals' levels (N, cells, channels)."""
    return [
        Vectors(level.flatten(0, 1), torch.arange(level.shape[1]).repeat(len(level)), deviation)
        for level, deviation in zip(whitened, noise, strict=True)
    ]


def of_defects(
    levels: Levels, defects: Located, sizes: Sequence[tuple[int, int]], noise: list[Tensor]
) -> list[Vectors]:
    """Return the vectors of the defective cells, per level."""
    whitened = levels.whitened(raw_features(levels, defects.pictures))
    found = []
    for level, size, deviation in zip(whitened, sizes, noise, strict=True):
        chosen = defective_cells(defects.masks, size)
        found.append(Vectors(level[chosen], chosen.nonzero()[:, 1], deviation))
    return found


def mean_defect(levels: Levels, defects: Located, sizes: Sequence[tuple[int, int]]) -> list[Tensor]:
    """Return each level's mean vector (channels,) over defects, of which each is a mean over its cells."""
    whitened = levels.whitened(raw_features(levels, defects.pictures))
    found = []
    for level, size in zip(whitened, sizes, strict=True):
        chosen = defective_cells(defects.masks, size)[:, :, None].float()
        found.append(((level * chosen).sum(1) / chosen.sum(1)).mean(0))
    return found
