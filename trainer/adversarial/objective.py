"""The objective that a training minimises and its adversary maximises, where all detectors share it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from trainer.adversarial import distributed
from trainer.adversarial.batch import PairedBatch
from trainer.adversarial.schedule import TrainingSchedule
from trainer.detector_protocol import Served

# An attack uses only the sign of its gradient. A power of two keeps the sign, and keeps float16 from losing
# it.
_LOUD = 4096.0


class TrainingObjective(Protocol):
    """What a detector's training minimises, and the module that is served from its network."""

    def loss(self, network: nn.Module, batch: PairedBatch, epsilon: float, random: Generator) -> Tensor:
        """Return the loss of ``network``, in training mode, on a batch that it attacks by ``epsilon``."""
        ...

    def served(self, network: nn.Module) -> Served:
        """Return the module that would be served from ``network``, in eval mode and without gradients."""
        ...


@dataclass(frozen=True, slots=True)
class CellLogits:
    """Logits of pictures (B,) and of their cells (B, h, w)."""

    images: Tensor
    cells: Tensor


def class_loss(found: CellLogits, batch: PairedBatch, cells_weight: float) -> Tensor:
    """Return the cross-entropy of normal against pseudo-anomaly, for the picture and for its cells.

    Defective and clean cells count half each, because a crack covers few cells and must not be outvoted.
    """
    entropy = functional.binary_cross_entropy_with_logits
    loss = entropy(found.images, batch.kinds)
    if not cells_weight:
        return loss
    each = entropy(found.cells, batch.cells, reduction="none")
    clean = 1 - batch.cells
    counts = distributed.mean(torch.stack([batch.cells.sum(), clean.sum()])).clamp(min=1)
    defective = (each * batch.cells).sum() / counts[0]
    return loss + cells_weight * 0.5 * (defective + (each * clean).sum() / counts[1])


def attacked(
    gain: Callable[[Tensor], Tensor], x: Tensor, epsilon: float, schedule: TrainingSchedule, random: Generator
) -> Tensor:
    """Return ``x`` (B, C, S, S) after l_inf PGD with a random start that raises ``gain``.

    The network behind ``gain`` must be in eval mode and must have no gradients of its own.
    """
    everyone = (len(x) * distributed.world(), *x.shape[1:])
    start = distributed.own(torch.rand(everyone, generator=random)).to(x.device)
    change = (start * 2 - 1) * epsilon
    length = 2.5 * epsilon / schedule.attack_steps
    for _ in range(schedule.attack_steps):
        change.requires_grad_(True)
        gained = _LOUD * gain((x + change).clamp(0, 1))
        (gradient,) = torch.autograd.grad(gained, change)
        change = (change.detach() + length * gradient.sign()).clamp(-epsilon, epsilon)
    return (x + change.detach()).clamp(0, 1)
