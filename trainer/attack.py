"""Attacks on the served score: how wrong can a change too small to see make it?

Each attack gets a score (B, C, S, S) → (B,) on pictures in [0, 1] and a direction per picture: +1 raises the
score (a normal is to look anomalous), -1 lowers it (an anomaly is to look normal).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

Score = Callable[[Tensor], Tensor]
Told = Callable[[int], None]

BATCH = 64  # pictures attacked together: 64 of 64 pixels fit a core's cache well enough
_LAST_STEP = 0.05  # of epsilon: steps shrink linearly to this, so that the last ones only polish


class Attack(Protocol):
    """An attack of a fixed size."""

    def __call__(self, score: Score, x: Tensor, direction: Tensor) -> Tensor:
        """Return the worst pictures found (B, C, S, S), within the attack's size of ``x`` and in [0, 1]."""
        ...


@dataclass(frozen=True, slots=True)
class Pgd:
    """l_inf projected gradient descent with momentum (Madry et al. 2018; Dong et al. 2018), random start.

    The step shrinks linearly from ``epsilon``; the worst picture over all iterates and restarts is returned.
    """

    epsilon: float
    steps: int
    restarts: int = 1
    momentum: float = 0.75
    seed: int = 0

    def __call__(self, score: Score, x: Tensor, direction: Tensor) -> Tensor:
        """See Attack."""
        random = torch.Generator().manual_seed(self.seed)
        worst = torch.full((len(x),), -torch.inf)
        pictures = x.clone()
        for _ in range(self.restarts):
            for candidate, value in self._iterates(score, x, direction, random):
                better = value > worst
                worst = torch.where(better, value, worst)
                pictures[better] = candidate[better]
        return pictures

    def _iterates(
        self, score: Score, x: Tensor, direction: Tensor, random: torch.Generator
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield each iterate and how far it is in the attack's favour, the random start included."""
        change = (torch.rand(x.shape, generator=random) * 2 - 1) * self.epsilon
        moving = torch.zeros_like(x)
        for step in range(self.steps + 1):
            candidate = (x + change).clamp(0, 1).requires_grad_(True)
            value = score(candidate) * direction
            yield candidate.detach(), value.detach()
            if step == self.steps:
                return
            (gradient,) = torch.autograd.grad(value.sum(), candidate)
            size = gradient.abs().mean((1, 2, 3), keepdim=True).clamp(min=1e-12)
            moving = self.momentum * moving + gradient / size
            length = self.epsilon * max(_LAST_STEP, 1 - step / self.steps)
            change = (change + length * moving.sign()).clamp(-self.epsilon, self.epsilon)


@dataclass(frozen=True, slots=True)
class RandomSigns:
    """Every pixel moved by plus or minus epsilon, blindly."""

    epsilon: float
    seed: int = 0

    def __call__(self, score: Score, x: Tensor, direction: Tensor) -> Tensor:
        """See Attack."""
        random = torch.Generator().manual_seed(self.seed)
        signs = torch.randint(0, 2, x.shape, generator=random) * 2 - 1
        return (x + self.epsilon * signs).clamp(0, 1)


@dataclass(frozen=True, slots=True)
class Squares:
    """A black box (Andriushchenko et al. 2020): squares of plus or minus epsilon, kept when they help."""

    epsilon: float
    queries: int
    seed: int = 0

    def __call__(self, score: Score, x: Tensor, direction: Tensor) -> Tensor:
        """See Attack."""
        random = torch.Generator().manual_seed(self.seed)
        batch, channels, height, width = x.shape
        stripes = torch.randint(0, 2, (batch, channels, 1, width), generator=random) * 2 - 1
        best = (x + self.epsilon * stripes).clamp(0, 1)
        with torch.no_grad():
            value = score(best) * direction
            for query in range(self.queries):
                share = 0.3 * (1 - query / self.queries) ** 2  # of the area, shrinking as the search goes on
                side = max(1, round((share * height * width) ** 0.5))
                tried = best.clone()
                for index in range(batch):
                    y = int(torch.randint(0, height - side + 1, (), generator=random))
                    left = int(torch.randint(0, width - side + 1, (), generator=random))
                    signs = torch.randint(0, 2, (channels, 1, 1), generator=random) * 2 - 1
                    place = (index, slice(None), slice(y, y + side), slice(left, left + side))
                    tried[place] = (x[place] + self.epsilon * signs).clamp(0, 1)
                found = score(tried) * direction
                better = found > value
                value = torch.where(better, found, value)
                best[better] = tried[better]
        return best


def attack_in_batches(
    attack: Attack, score: Score, x: Tensor, direction: Tensor, told: Told | None = None
) -> Tensor:
    """Return the attacked pictures of any number, BATCH at a time; ``told`` hears how many are done."""
    found = []
    for start in range(0, len(x), BATCH):
        found.append(attack(score, x[start : start + BATCH], direction[start : start + BATCH]))
        if told is not None:
            told(min(start + BATCH, len(x)))
    return torch.cat(found)
