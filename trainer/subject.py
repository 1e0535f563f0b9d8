"""A model and pictures of known truth: its scores, and what attacks make of them."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainer.attack import BATCH, Attack, attack_in_batches
from trainer.auroc import auroc
from trainer.dataset import Pictures
from trainer.detectors.protocol import Served

Scores = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Subject:
    """``x`` is (N, C, S, S) in [0, 1], ``anomalous`` (N,) bool. Everything goes through the served score."""

    module: Served
    x: Tensor
    anomalous: NDArray[np.bool_]

    @staticmethod
    def of(module: Served, pictures: Pictures, anomalous: NDArray[np.bool_]) -> "Subject":
        """Return the subject of uint8 pictures (N, S, S, C)."""
        return Subject(module, floats(pictures), anomalous)

    def part(self, index: NDArray[np.intp]) -> "Subject":
        """Return the subject of some of the pictures."""
        return Subject(self.module, self.x[torch.from_numpy(index)], self.anomalous[index])

    @property
    def direction(self) -> Tensor:
        """(N,): +1 where an attack raises the score (normals), -1 where it lowers it."""
        return torch.from_numpy(np.where(self.anomalous, -1.0, 1.0).astype(np.float32))

    def score(self, x: Tensor) -> Tensor:
        """Return (B,) of (B, C, S, S), differentiable."""
        return self.module.score_float(x)[0]

    def scores(self, x: Tensor) -> Scores:
        """Return (N,) of any number of pictures."""
        with torch.inference_mode():
            return torch.cat([self.score(part) for part in torch.split(x, BATCH)]).numpy()

    def attacked(self, attack: Attack, told: Callable[[int], None] | None = None) -> Tensor:
        """Return every picture attacked in its own direction; ``told`` hears how many are done."""
        return attack_in_batches(attack, self.score, self.x, self.direction, told)

    def auroc(self, scores: Scores) -> float:
        """Return the image AUROC of scores (N,)."""
        return auroc(scores, self.anomalous)


def floats(pictures: Pictures) -> Tensor:
    """Return uint8 (N, S, S, C) as (N, C, S, S) float32 in [0, 1], as the served module casts them."""
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255
