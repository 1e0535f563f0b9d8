"""Model selection: detect a net that only fools its own few-step attack, without any real defect.

Few-step adversarial training can collapse (catastrophic overfitting, Wong et al. 2020): the clean loss goes
on falling while a longer attack succeeds on every picture. So the average is regularly attacked with more
steps than the training uses, on normals and on pseudo-anomalies kept out of the training. The best average is
served.
"""

import numpy as np
import torch
from torch import Tensor

from trainer.arrays import Pictures, PseudoBank
from trainer.detector_protocol import Served
from trainer.evaluation.attacks import Pgd, attack_in_batches
from trainer.evaluation.auroc import auroc
from trainer.learning.state import is_judged

EPSILON = 4 / 255
STEPS = 10
PICTURES = 64  # of each kind: with 2 x 64 the error of the AUROC is about .03, and a collapse costs .3
FIRST, EVERY = 0.4, 0.1  # share of the run before the first evaluation, and between two of them
SLACK = 0.005  # AUROC that a later state may lose, because it has trained for longer


class ModelSelection:
    """Evaluates served modules under attack on pictures that are held out of the training."""

    def __init__(self, normals: Tensor, pseudo: Tensor) -> None:
        """Judge by ``normals`` and ``pseudo``, (K, C, H, W) each in [0, 1]; no training sees ``pseudo``."""
        self._pictures = torch.cat([normals, pseudo])
        self._anomalous = torch.cat([torch.zeros(len(normals)), torch.ones(len(pseudo))])

    def is_due(self, step: int, steps: int) -> bool:
        """Tell whether the state is evaluated after this step; it always is after the last one."""
        return is_judged(step, steps, FIRST, EVERY)

    def figure(self, served: Served) -> float:
        """Return the AUROC under attack, where normals are pushed up and pseudo-anomalies down."""
        device = next(served.parameters()).device

        def score(x: Tensor) -> Tensor:
            return served.score_float(x.to(device))[0].to(x.device)

        attack = Pgd(EPSILON, STEPS, seed=STEPS)
        found = attack_in_batches(attack, score, self._pictures, 1 - 2 * self._anomalous)
        with torch.no_grad():
            return auroc(score(found).numpy(), self._anomalous.numpy())


def held_out(normals: Tensor, bank: PseudoBank, seed: int) -> tuple[ModelSelection, PseudoBank]:
    """Return the model selection of whole pictures (N, C, H, W), and the rest of the bank to train on.

    The normals that it judges by are trained on, its pseudo-anomalies are not.
    """
    rng = np.random.default_rng([seed, len(normals)])
    chosen = np.sort(rng.permutation(len(bank.source))[: min(PICTURES, len(bank.source) // 8)])
    own = normals[torch.from_numpy(rng.permutation(len(normals))[: len(chosen)])]
    rest = bank.subset(np.setdiff1d(np.arange(len(bank.source)), chosen))
    return ModelSelection(own, as_floats(bank.pictures[chosen])), rest


def as_floats(pictures: Pictures) -> Tensor:
    """Return pictures (N, H, W, C) uint8 as (N, C, H, W) in [0, 1]."""
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255
