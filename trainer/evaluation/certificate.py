"""Certified AUROCs: no attack within epsilon, known or unknown, brings a model below them."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainer.detector_protocol import Served
from trainer.evaluation.attacks import at_once, name_of
from trainer.evaluation.auroc import auroc
from trainer.evaluation.subject import AttackTarget


def certified_aurocs(target: AttackTarget, epsilons: tuple[float, ...]) -> dict[str, float]:
    """Return, by the epsilon's name, the AUROC below which no attack on the model's input can bring the
    model.

    The mapping is empty when the module proves nothing.
    """
    found = {
        name_of(epsilon): certified_auroc(target.module, target.x, target.anomalous, epsilon)
        for epsilon in epsilons
    }
    return {name: value for name, value in found.items() if value is not None}


def certified_auroc(module: Served, x: Tensor, anomalous: NDArray[np.bool_], epsilon: float) -> float | None:
    """Return the AUROC with each normal at its greatest proven score and each anomaly at its least.

    ``x`` is (N, C, H, W) float32 in [0, 1], ``anomalous`` (N,). Returns None when the module proves nothing.
    """
    worst: list[Tensor] = []
    with torch.inference_mode():
        split = torch.split(x, size := at_once(x)), torch.split(torch.from_numpy(anomalous), size)
        for part, bad in zip(*split, strict=True):
            bounds = module.score_bounds(part, epsilon)
            if bounds is None:
                return None
            worst.append(torch.where(bad, *bounds))
    return auroc(torch.cat(worst).numpy(), anomalous)
