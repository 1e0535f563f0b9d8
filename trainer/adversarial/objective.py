"""What a training under attack lowers and its adversary raises, as far as every detector has it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from trainer.adversarial.batch import Batch
from trainer.adversarial.course import Course
from trainer.detectors.protocol import Served


class Objective(Protocol):
    """What is learned, and what is served of it."""

    def loss(self, network: nn.Module, batch: Batch, epsilon: float, random: Generator) -> Tensor:
        """Return the loss of ``network``, in training mode, on a batch that it attacks by ``epsilon``."""
        ...

    def served(self, network: nn.Module) -> Served:
        """Return what would be served of ``network``, in eval mode and without gradients."""
        ...


@dataclass(frozen=True, slots=True)
class Judged:
    """Logits of pictures (B,) and of their cells (B, h, w)."""

    images: Tensor
    cells: Tensor


def class_loss(found: Judged, batch: Batch, cells_weight: float) -> Tensor:
    """Cross-entropy of normal against pseudo-anomaly, of the picture and of its cells.

    Defective and clean cells count half each: a crack covers few cells, and must not be outvoted.
    """
    entropy = functional.binary_cross_entropy_with_logits
    loss = entropy(found.images, batch.kinds)
    if not cells_weight:
        return loss
    each = entropy(found.cells, batch.cells, reduction="none")
    clean = 1 - batch.cells
    defective = (each * batch.cells).sum() / batch.cells.sum().clamp(min=1)
    return loss + cells_weight * 0.5 * (defective + (each * clean).sum() / clean.sum().clamp(min=1))


def attacked(
    gain: Callable[[Tensor], Tensor], x: Tensor, epsilon: float, course: Course, random: Generator
) -> Tensor:
    """Return ``x`` (B, C, S, S) after l_inf PGD with a random start that raises ``gain``.

    The network behind ``gain`` must be in eval mode, and have no gradient of its own.
    """
    change = (torch.rand(x.shape, generator=random) * 2 - 1) * epsilon
    length = 2.5 * epsilon / course.attack_steps
    for _ in range(course.attack_steps):
        change.requires_grad_(True)
        (gradient,) = torch.autograd.grad(gain((x + change).clamp(0, 1)), change)
        change = (change.detach() + length * gradient.sign()).clamp(-epsilon, epsilon)
    return (x + change.detach()).clamp(0, 1)
