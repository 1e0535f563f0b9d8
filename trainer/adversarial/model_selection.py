"""The guard: catches a net that has learned to fool its own few-step attack, without real defects.

Few-step adversarial training can collapse (catastrophic overfitting, Wong et al. 2020): the clean loss goes
on falling while a longer attack finds everything. So now and then the average is attacked with more steps
than the training uses, on normals and pseudo-anomalies kept out of the training, and the best average is
served.
"""

import numpy as np
import torch
from torch import Tensor

from trainer.arrays import PseudoBank
from trainer.detector_protocol import Served
from trainer.evaluation.attacks import Pgd, attack_in_batches
from trainer.evaluation.auroc import auroc
from trainer.learning.state import is_judged

EPSILON = 4 / 255
STEPS = 10
PICTURES = 64  # of each kind: with 2 x 64 the AUROC's error is about .03, and a collapse costs .3
FIRST, EVERY = 0.4, 0.1  # of the run
SLACK = 0.005  # in favour of later states, which saw more


class ModelSelection:
    """Holds pictures back from the training and judges served modules by them."""

    def __init__(self, normals: Tensor, bank: PseudoBank, seed: int) -> None:
        """``normals`` is (N, C, S, S); the normals are trained on too, the pseudo-anomalies are not."""
        rng = np.random.default_rng([seed, len(normals)])
        chosen = np.sort(rng.permutation(len(bank.source))[: min(PICTURES, len(bank.source) // 8)])
        pseudo = torch.from_numpy(bank.pictures[chosen]).permute(0, 3, 1, 2).float() / 255
        self._bank, self._aside = bank, chosen
        own = normals[torch.from_numpy(rng.permutation(len(normals))[: len(chosen)])]
        self._pictures = torch.cat([own, pseudo])
        self._anomalous = torch.cat([torch.zeros(len(own)), torch.ones(len(pseudo))])

    def rest_of_bank(self) -> PseudoBank:
        """Return the pseudo-anomalies that may be trained on."""
        kept = np.setdiff1d(np.arange(len(self._bank.source)), self._aside)
        return PseudoBank(
            self._bank.pictures[kept],
            self._bank.masks[kept],
            self._bank.source[kept],
            tuple(self._bank.transform[index] for index in kept),
        )

    def is_due(self, step: int, steps: int) -> bool:
        """True after the steps at which the guard looks, the last one included."""
        return is_judged(step, steps, FIRST, EVERY)

    def figure(self, served: Served) -> float:
        """Return the AUROC under attack; every picture attacked in its own direction."""
        device = next(served.parameters()).device

        def score(x: Tensor) -> Tensor:
            return served.score_float(x.to(device))[0].to(x.device)

        attack = Pgd(EPSILON, STEPS, seed=STEPS)
        found = attack_in_batches(attack, score, self._pictures, 1 - 2 * self._anomalous)
        with torch.no_grad():
            return auroc(score(found).numpy(), self._anomalous.numpy())
