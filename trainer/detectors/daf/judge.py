"""Which state is served: the one that finds held-out synthetic defects best, on normals it never saw."""

import numpy as np
import torch
from torch import Tensor

from trainer.arrays import PseudoBank
from trainer.detector_protocol import Served
from trainer.detectors.daf.batch import as_floats
from trainer.evaluation.localisation import average_precision
from trainer.learning.state import is_judged

NORMALS, OF = 48, 10  # at most so many are held back, and at most one in ten
EACH = 2  # synthetic defects of a normal
FIRST, EVERY = 0.5, 0.1  # of the run
SLACK = 0.002  # in favour of later states, which saw more
_BATCH = 16


class Judge:
    """Holds normals and their synthetic defects back from the training and judges served modules by them."""

    def __init__(self, normals: Tensor, bank: PseudoBank, seed: int) -> None:
        """``normals`` is (N, C, S, S), at least two of them with a synthetic defect."""
        rng = np.random.default_rng([seed, len(normals)])
        with_defects = rng.permutation(np.unique(bank.source))
        aside = with_defects[: max(1, min(NORMALS, len(normals) // OF))]
        chosen = np.concatenate([np.flatnonzero(bank.source == source)[:EACH] for source in aside])
        self.rest = torch.from_numpy(np.setdiff1d(np.arange(len(normals)), aside))
        self._x = torch.cat([normals[torch.from_numpy(aside)], as_floats(bank.pictures[chosen])])
        masks = bank.masks[chosen]
        self._masks = np.concatenate([np.zeros((len(aside), *masks.shape[1:]), bool), masks])

    def is_due(self, step: int, steps: int) -> bool:
        """True after the steps at which the judge looks, the last one included."""
        return is_judged(step, steps, FIRST, EVERY)

    def figure(self, served: Served) -> float:
        """Return the average precision of the map's pixels."""
        with torch.inference_mode():
            maps = torch.cat([served.score_float(part)[1] for part in torch.split(self._x, _BATCH)])
        return average_precision(maps.numpy(), self._masks)
