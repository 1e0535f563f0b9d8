"""Choose the state to serve: the one that locates synthetic defects best on normals held out of training."""

import numpy as np
import torch
from torch import Tensor

from trainer.arrays import PseudoBank
from trainer.detector_protocol import Served
from trainer.detectors.daf.batch import as_floats
from trainer.evaluation.localisation import average_precision
from trainer.learning.state import is_judged

NORMALS, OF = 48, 10  # at most 48 normals are held out, and at most one in ten
EACH = 2  # synthetic defects per normal
FIRST, EVERY = 0.5, 0.1  # share of the run before the first evaluation, and between two of them
SLACK = 0.002  # average precision that a later state may lose, because it has trained for longer
_BATCH = 16


class Judge:
    """Hold normals and their synthetic defects out of the training and evaluate served modules on them."""

    def __init__(self, normals: Tensor, bank: PseudoBank, seed: int) -> None:
        """``normals`` is (N, C, H, W); at least two of them must have a synthetic defect."""
        rng = np.random.default_rng([seed, len(normals)])
        with_defects = rng.permutation(np.unique(bank.source))
        aside = with_defects[: max(1, min(NORMALS, len(normals) // OF))]
        chosen = np.concatenate([np.flatnonzero(bank.source == source)[:EACH] for source in aside])
        self.rest = torch.from_numpy(np.setdiff1d(np.arange(len(normals)), aside))
        self._x = torch.cat([normals[torch.from_numpy(aside)], as_floats(bank.pictures[chosen])])
        masks = bank.masks[chosen]
        self._masks = np.concatenate([np.zeros((len(aside), *masks.shape[1:]), bool), masks])

    def is_due(self, step: int, steps: int) -> bool:
        """Tell whether the state is evaluated after this step; it always is after the last one."""
        return is_judged(step, steps, FIRST, EVERY)

    def figure(self, served: Served) -> float:
        """Return the average precision of the map's pixels on the held-out pictures."""
        with torch.inference_mode():
            maps = torch.cat([served.score_float(part)[1] for part in torch.split(self._x, _BATCH)])
        return average_precision(maps.numpy(), self._masks)
