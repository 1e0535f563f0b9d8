"""Attacks on the served score: they ask how wrong a change too small to see can make it.

Each attack gets a score (B, C, H, W) → (B,) on pictures in [0, 1] and a direction per picture: +1 raises the
score (a normal is to look anomalous), -1 lowers it (an anomaly is to look normal).
"""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Protocol

import torch
from torch import Tensor

Score = Callable[[Tensor], Tensor]
ReportDone = Callable[[int], None]

BATCH = 64  # pictures attacked together: 64 of 64 pixels fit a core's cache well enough
BATCH_PIXELS = 1 << 18  # of them all: a network under attack keeps its inner layers, kilobytes a pixel
_LAST_STEP = 0.05  # as a share of epsilon: steps shrink linearly to this, so that the last ones only polish
_AHEAD = 0.75  # APGD's momentum: a move takes this share of the new step, and the rest of the move before
_RISES = 0.75  # APGD: a step is too long when it raises the objective in a smaller share of iterates


def name_of(epsilon: float) -> str:
    """Return the name of an epsilon in steps of 8 bits: 2/255 for 0.00784."""
    return f"{round(epsilon * 255, 3):g}/255"


def at_once(x: Tensor) -> int:
    """Return how many of the pictures (N, C, H, W) are attacked or scored together: fewer of large ones."""
    return max(1, min(BATCH, BATCH_PIXELS // (x.shape[2] * x.shape[3])))


class Attack(Protocol):
    """An attack of a fixed size."""

    def __call__(self, score: Score, x: Tensor, direction: Tensor) -> Tensor:
        """Return the worst pictures found (B, C, H, W), within the attack's size of ``x`` and in [0, 1]."""
        ...


def worst_of(x: Tensor, found: Iterable[tuple[Tensor, Tensor]]) -> Tensor:
    """Return for each picture the worst of its candidates.

    ``found`` gives candidates (B, C, H, W), each with how far it is in the attack's favour (B,).
    """
    worst = torch.full((len(x),), -torch.inf)
    pictures = x.clone()
    for candidate, value in found:
        better = value > worst
        worst = torch.where(better, value, worst)
        if bool(better.all()):
            pictures = candidate  # nobody else holds this tensor, so it is not copied
        elif bool(better.any()):
            pictures[better] = candidate[better]
    return pictures


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
        starts = (self._iterates(score, x, direction, random) for _ in range(self.restarts))
        return worst_of(x, chain.from_iterable(starts))

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
            moving.mul_(self.momentum).addcdiv_(gradient, size)
            length = self.epsilon * max(_LAST_STEP, 1 - step / self.steps)
            change.add_(moving.sign(), alpha=length).clamp_(-self.epsilon, self.epsilon)


@dataclass(frozen=True, slots=True)
class Apgd:
    """PGD whose step, per picture, halves when it no longer helps (Croce and Hein, ICML 2020, algorithm 1).

    The first step is twice ``epsilon``; a picture whose step halves goes on from its best iterate. The worst
    picture over all iterates and restarts is returned.
    """

    epsilon: float
    steps: int
    restarts: int = 1
    seed: int = 0

    def __call__(self, score: Score, x: Tensor, direction: Tensor) -> Tensor:
        """See Attack."""
        random = torch.Generator().manual_seed(self.seed)
        return worst_of(x, (self._search(score, x, direction, random) for _ in range(self.restarts)))

    def _search(
        self, score: Score, x: Tensor, direction: Tensor, random: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Return the worst pictures of one start and how far they are in the attack's favour (B,)."""
        at = self._within(x, x + (torch.rand(x.shape, generator=random) * 2 - 1) * self.epsilon)
        before = at
        best, worst, gradient = at.clone(), *rise(score, at, direction)
        kept, value = gradient, worst
        pace = _Pace(torch.full_like(worst, 2 * self.epsilon), worst)
        for step in range(1, self.steps + 1):
            length = pace.length[:, None, None, None]
            ahead = self._within(x, at + length * gradient.sign())
            share = 1.0 if step == 1 else _AHEAD
            at, before = self._within(x, at + share * (ahead - at) + (1 - share) * (at - before)), at
            found, gradient = rise(score, at, direction)
            pace.rises += found > value
            value = found
            better = (found > worst)[:, None, None, None]
            best, kept = torch.where(better, at, best), torch.where(better, gradient, kept)
            worst = torch.maximum(worst, found)
            if step in _checkpoints(self.steps):
                halved = pace.judge(step, worst)[:, None, None, None]
                at, gradient = torch.where(halved, best, at), torch.where(halved, kept, gradient)
        return best, worst

    def _within(self, x: Tensor, candidate: Tensor) -> Tensor:
        return candidate.clamp(x - self.epsilon, x + self.epsilon).clamp_(0, 1)


class _Pace:
    """Keeps APGD's step length of each picture, and judges whether that step still helps."""

    def __init__(self, length: Tensor, worst: Tensor) -> None:
        self.length = length
        self.rises = torch.zeros_like(length)
        self._worst, self._since = worst, 0
        self._halved = torch.ones_like(length, dtype=torch.bool)  # the first checkpoint judges rises alone

    def judge(self, step: int, worst: Tensor) -> Tensor:
        """Halve the step of pictures with few rises or no progress since the last checkpoint.

        Returns which pictures those are, (B,) bool.
        """
        few = self.rises < _RISES * (step - self._since)
        stuck = ~self._halved & (worst <= self._worst)
        self._halved = few | stuck
        self.length = torch.where(self._halved, self.length / 2, self.length)
        self.rises, self._worst, self._since = torch.zeros_like(self.rises), worst, step
        return self._halved


@lru_cache(maxsize=16)
def _checkpoints(steps: int) -> frozenset[int]:
    """Return the steps after which the pace is judged: first .22 of all, then ever closer together."""
    shares = [0.0, 0.22]
    while shares[-1] < 1:
        shares.append(shares[-1] + max(shares[-1] - shares[-2] - 0.03, 0.06))
    return frozenset(math.ceil(share * steps) for share in shares[1:])


def rise(score: Score, x: Tensor, direction: Tensor) -> tuple[Tensor, Tensor]:
    """Return how far (B,) each picture is in the attack's favour, and the gradient of that."""
    seen = x.detach().requires_grad_(True)
    value = score(seen) * direction
    (gradient,) = torch.autograd.grad(value.sum(), seen)
    return value.detach(), gradient


@dataclass(frozen=True, slots=True)
class RandomSigns:
    """An attack that moves every value by plus or minus epsilon at random, without looking at the score."""

    epsilon: float
    seed: int = 0

    def __call__(self, score: Score, x: Tensor, direction: Tensor) -> Tensor:
        """See Attack."""
        random = torch.Generator().manual_seed(self.seed)
        signs = torch.randint(0, 2, x.shape, generator=random) * 2 - 1
        return (x + self.epsilon * signs).clamp(0, 1)


@dataclass(frozen=True, slots=True)
class Squares:
    """A black-box attack (Andriushchenko et al. 2020) that keeps helpful squares of plus or minus epsilon."""

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
                share = 0.3 * (1 - query / self.queries) ** 2  # a square's share of the area shrinks
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
    attack: Attack, score: Score, x: Tensor, direction: Tensor, on_progress: ReportDone | None = None
) -> Tensor:
    """Return any number of pictures attacked, BATCH at a time; ``on_progress`` gets how many are done."""
    found = []
    size = at_once(x)
    for start in range(0, len(x), size):
        found.append(attack(score, x[start : start + size], direction[start : start + size]))
        if on_progress is not None:
            on_progress(min(start + size, len(x)))
    return torch.cat(found)
