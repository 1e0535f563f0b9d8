"""The pictures of one step: normals, most of them with a synthetic defect, and the same ones without."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from trainer.arrays import Pictures
from trainer.detector_protocol import FitInput
from trainer.detectors.daf.profile import DafProfile, DafSchedule
from trainer.learning.augment import flip, relight
from trainer.learning.vary import vary


@dataclass(frozen=True, slots=True)
class DefectBatch:
    """``clean`` and ``seen`` (B, C, H, W) are the same pictures without and with a defect, in the same light.

    ``mask`` (B, H, W) is 1 on the defect, and 0 everywhere in pictures that have none.
    """

    clean: Tensor
    seen: Tensor
    mask: Tensor


class Draws:
    """Draws each batch from the seed and its step alone, so that a resumed training continues unchanged."""

    def __init__(self, given: FitInput, sources: Tensor, profile: DafProfile) -> None:
        """Of the normals only those whose indices are in ``sources`` are drawn."""
        self._normals, self._bank = given.normals, given.bank
        self._light, self._vary = profile.light, profile.vary
        self._sources = sources.numpy()
        self._of = {int(source): np.flatnonzero(self._bank.source == source) for source in self._sources}

    def draw(self, seed: int, step: int, schedule: DafSchedule) -> DefectBatch:
        """Return the batch of a step; a normal without any synthetic defect stays clean."""
        rng = np.random.default_rng([seed, step])
        sources = rng.choice(self._sources, schedule.batch, replace=len(self._sources) < schedule.batch)
        plain = self._normals[sources]
        defective, mask = plain.copy(), torch.zeros(plain.shape[:3])
        for row, source in enumerate(sources):
            own = self._of[int(source)]
            if rng.random() >= schedule.clean and len(own):
                chosen = int(rng.choice(own))
                defective[row] = self._bank.pictures[chosen]
                mask[row] = torch.from_numpy(self._bank.masks[chosen]).float()
        clean, seen = (as_floats(self._varied(part, seed, step)) for part in (plain, defective))
        across, down = (torch.from_numpy(rng.random(len(clean)) < 0.5) for _ in range(2))
        light = int(rng.integers(1 << 62))
        return DefectBatch(
            clean=self._lit(flip(clean, across, down), light),
            seen=self._lit(flip(seen, across, down), light),
            mask=flip(mask[:, None], across, down)[:, 0],
        )

    def _varied(self, pictures: Pictures, seed: int, step: int) -> Pictures:
        """Return the pictures, all but one in ``copies + 1`` of them as another moment gives them.

        Two calls for one step change pictures alike, so that those with and without a defect stay a pair.
        """
        found = pictures.copy()
        for row, picture in enumerate(pictures):
            rng = np.random.default_rng([seed, step, row])
            if rng.random() < self._vary.copies / (self._vary.copies + 1):
                found[row] = vary(picture, self._vary, rng)
        return found

    def _lit(self, x: Tensor, seed: int) -> Tensor:
        lit = relight(x, self._light, torch.Generator().manual_seed(seed))
        return lit.contiguous(memory_format=torch.channels_last)


def as_floats(pictures: Pictures) -> Tensor:
    """Convert pictures (N, H, W, C) uint8 to (N, C, H, W) in [0, 1]."""
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255
