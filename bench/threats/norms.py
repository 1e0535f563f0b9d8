"""Projected gradient descent in balls of other norms than l_inf, and changes of a few pixels."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from trainer.evaluation.attacks import Score, rise, worst_of

_SMALLEST = 1e-12
_FIRST_STEP = 0.5  # as a share of epsilon; steps shrink linearly from it
_SPARSE = 0.02  # of the values, which one step of l1 moves


@dataclass(frozen=True, slots=True)
class NormDescent:
    """PGD in a ball of radius ``epsilon`` (Madry et al. 2018), in units of the whole range of a value.

    In l1 each step moves the values with the steepest gradient only (Tramer and Boneh 2019), and is projected
    by the method of Duchi et al. (2008).
    """

    norm: Literal["l1", "l2"]
    epsilon: float
    steps: int
    seed: int = 0

    def __call__(self, score: Score, x: Tensor, direction: Tensor) -> Tensor:
        """See Attack."""
        return worst_of(x, self._iterates(score, x, direction))

    def _iterates(self, score: Score, x: Tensor, direction: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        step_of, into = (_l1_step, _into_l1) if self.norm == "l1" else (_l2_step, _into_l2)
        random = torch.Generator().manual_seed(self.seed)
        change = into(torch.randn(x.shape, generator=random) * 1e-3, self.epsilon)
        for step in range(self.steps + 1):
            candidate = (x + change).clamp(0, 1)
            value, gradient = rise(score, candidate, direction)
            yield candidate, value
            length = self.epsilon * _FIRST_STEP * (1 - step / (self.steps + 1))
            # A value that is black or white already cannot go further.
            free = ~(((candidate <= 0) & (gradient < 0)) | ((candidate >= 1) & (gradient > 0)))
            change = into((x + change + length * step_of(gradient * free)).clamp(0, 1) - x, self.epsilon)


@dataclass(frozen=True, slots=True)
class FewPixels:
    """An l0 attack: ``pixels`` pixels may take any value. In each round those that promise most are set to
    black or white; later rounds may take another pixel's place.
    """

    pixels: int
    rounds: int = 10

    def __call__(self, score: Score, x: Tensor, direction: Tensor) -> Tensor:
        """See Attack."""
        return worst_of(x, self._iterates(score, x, direction))

    def _iterates(self, score: Score, x: Tensor, direction: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        batch, _, height, width = x.shape
        candidate = x.clone()
        for number in range(1, self.rounds + 1):
            value, gradient = rise(score, candidate, direction)
            yield candidate, value
            # What a pixel promises where it is, compared with the frame: all its channels together.
            to_white, to_black = gradient * (1 - x), -gradient * x
            promise = torch.maximum(to_white, to_black).sum(1).flatten(1)
            allowed = max(1, min(height * width, round(self.pixels * number / self.rounds)))
            chosen = torch.zeros(batch, height * width, dtype=torch.bool)
            chosen.scatter_(1, promise.topk(allowed, dim=1).indices, True)
            extreme = (to_white > to_black).to(x.dtype)
            candidate = torch.where(chosen.view(batch, 1, height, width), extreme, x)
        yield candidate, _value(score, candidate, direction)


def _l2_step(gradient: Tensor) -> Tensor:
    return gradient / _length(gradient)


def _l1_step(gradient: Tensor) -> Tensor:
    flat = gradient.abs().flatten(1)
    count = max(1, round(_SPARSE * flat.shape[1]))
    least = flat.topk(count, dim=1).values[:, -1].clamp(min=_SMALLEST).view(-1, 1, 1, 1)
    steepest: Tensor = gradient.sign() * (gradient.abs() >= least) / count
    return steepest


def _into_l2(change: Tensor, epsilon: float) -> Tensor:
    return change * (epsilon / _length(change)).clamp(max=1)


def _length(change: Tensor) -> Tensor:
    length: Tensor = torch.linalg.vector_norm(change, dim=(1, 2, 3), keepdim=True)
    return length.clamp(min=_SMALLEST)


def _into_l1(change: Tensor, epsilon: float) -> Tensor:
    """Return the nearest changes (B, C, H, W) whose absolute values sum to at most ``epsilon``."""
    size = change.abs().flatten(1)
    falling = size.sort(dim=1, descending=True).values
    over = falling.cumsum(1) - epsilon
    ranks = torch.arange(1, size.shape[1] + 1, dtype=size.dtype)
    last = (falling * ranks > over).sum(1, keepdim=True).clamp(min=1)
    cut = (over.gather(1, last - 1) / last).clamp(min=0)
    shrunk = (size - cut).clamp(min=0).view_as(change)
    nearest: Tensor = change.sign() * shrunk
    return nearest


def _value(score: Score, x: Tensor, direction: Tensor) -> Tensor:
    with torch.no_grad():
        return score(x) * direction
