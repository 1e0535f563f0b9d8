"""The pictures of one step: normals, most of them with a synthetic defect, and the same ones without."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from trainer.arrays import PseudoBank
from trainer.detectors.daf.profile import DafSchedule
from trainer.learning.augment import Light, flip, relight


@dataclass(frozen=True, slots=True)
class DefectBatch:
    """``clean`` and ``seen`` (B, C, S, S) are the same pictures without and with a defect, in the same light.

    ``mask`` (B, S, S) is 1 on the defect, and 0 everywhere in pictures that have none.
    """

    clean: Tensor
    seen: Tensor
    mask: Tensor


class Draws:
    """Draws each batch from the seed and its step alone, so that a resumed training continues unchanged."""

    def __init__(self, normals: Tensor, bank: PseudoBank, sources: Tensor, light: Light) -> None:
        """``normals`` is (N, C, S, S) in [0, 1]; only those whose indices are in ``sources`` are drawn."""
        self._normals, self._bank, self._light = normals, bank, light
        self._sources = sources.numpy()
        self._of = {int(source): np.flatnonzero(bank.source == source) for source in self._sources}

    def draw(self, seed: int, step: int, schedule: DafSchedule) -> DefectBatch:
        """Return the batch of a step; a normal without any synthetic defect stays clean."""
        rng = np.random.default_rng([seed, step])
        sources = rng.choice(self._sources, schedule.batch, replace=len(self._sources) < schedule.batch)
        clean = self._normals[torch.from_numpy(sources)]
        seen, mask = clean.clone(), torch.zeros(len(clean), *clean.shape[2:])
        for row, source in enumerate(sources):
            own = self._of[int(source)]
            if rng.random() >= schedule.clean and len(own):
                chosen = int(rng.choice(own))
                seen[row] = as_floats(self._bank.pictures[chosen : chosen + 1])[0]
                mask[row] = torch.from_numpy(self._bank.masks[chosen]).float()
        across, down = (torch.from_numpy(rng.random(len(clean)) < 0.5) for _ in range(2))
        light = int(rng.integers(1 << 62))
        return DefectBatch(
            clean=self._lit(flip(clean, across, down), light),
            seen=self._lit(flip(seen, across, down), light),
            mask=flip(mask[:, None], across, down)[:, 0],
        )

    def _lit(self, x: Tensor, seed: int) -> Tensor:
        lit = relight(x, self._light, torch.Generator().manual_seed(seed))
        return lit.contiguous(memory_format=torch.channels_last)


def as_floats(pictures: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> Tensor:
    """Convert pictures (N, S, S, C) uint8 to (N, C, S, S) in [0, 1]."""
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255
