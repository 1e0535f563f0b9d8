"""What a training under attack lowers and its adversary raises, as far as every detector has it."""

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

# Only the sign of an attack's gradient counts; a power of two keeps it, and keeps float16 from losing it.
_LOUD = 4096.0


class TrainingObjective(Protocol):
    """What is learned, and what is served of it."""

    def loss(self, network: nn.Module, batch: PairedBatch, epsilon: float, random: Generator) -> Tensor:
        """Return the loss of ``network``, in training mode, on a batch that it attacks by ``epsilon``."""
        ...

    def served(self, network: nn.Module) -> Served:
        """Return what would be served of ``network``, in eval mode and without gradients."""
        ...


@dataclass(frozen=True, slots=True)
class CellLogits:
    """Logits of pictures (B,) and of their cells (B, h, w)."""

    images: Tensor
    cells: Tensor


def class_loss(found: CellLogits, batch: PairedBatch, cells_weight: float) -> Tensor:
    """Cross-entropy of normal against pseudo-anomaly, of the picture and of its cells.

    Defective and clean cells count half each: a crack covers few cells, and must not be outvoted.
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

    The network behind ``gain`` must be in eval mode, and have no gradient of its own.
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
