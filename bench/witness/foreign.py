"""AutoAttack's own code as attacks of the bench. It has an environment of its own: nothing of it is imported
before an attack runs.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pkgutil import resolve_name
from typing import Any

import torch
from torch import Tensor

from bench.witness.two_classes import Verdict, labels
from steadyline.errors import InvalidConfiguration
from trainer.evaluation.attacks import Score

_AT_ONCE = 1  # restart of each attack: the same effort as ours

Found = Callable[[Callable[[Tensor], Tensor], Tensor, Tensor], Tensor]


def demand(module: str) -> None:
    """Raise InvalidConfiguration when a witness is not installed here; the message says how to get it."""
    if find_spec(module) is None:
        raise InvalidConfiguration(
            f"{module} is not installed here: run `make bench-witness` once, then the same command with "
            ".venv-witness/bin/python"
        )


@dataclass(frozen=True, slots=True)
class AutoPgd:
    """APGD on the cross-entropy: the picture of the largest loss, which is the worst score, is returned."""

    verdict: Verdict
    epsilon: float
    steps: int
    seed: int = 0

    def __call__(self, score: Score, x: Tensor, direction: Tensor) -> Tensor:
        """See Attack."""
        make = _named("pyautoattack.autopgd_base:APGDAttack")

        def found(model: Callable[[Tensor], Tensor], x: Tensor, y: Tensor) -> Tensor:
            attack = make(model, n_iter=self.steps, n_restarts=_AT_ONCE, eps=self.epsilon, seed=self.seed)
            torch.random.manual_seed(self.seed)  # which it does itself only without best_loss
            pictures: Tensor = attack.perturb(x, y, best_loss=True)
            return pictures

        return _apart(found, self.verdict, score, (x, direction))


@dataclass(frozen=True, slots=True)
class BoundaryAttack:
    """FAB: the smallest change that turns a verdict, kept where it is within ``epsilon``.

    A picture whose verdict it does not turn is returned as it is.
    """

    verdict: Verdict
    epsilon: float
    steps: int
    seed: int = 0

    def __call__(self, score: Score, x: Tensor, direction: Tensor) -> Tensor:
        """See Attack."""
        make = _named("pyautoattack.fab_pt:FABAttack_PT")

        def found(model: Callable[[Tensor], Tensor], x: Tensor, y: Tensor) -> Tensor:
            attack = make(model, n_iter=self.steps, n_restarts=_AT_ONCE, eps=self.epsilon, seed=self.seed)
            pictures: Tensor = attack.perturb(x, y)
            return pictures

        return _apart(found, self.verdict, score, (x, direction))


@dataclass(frozen=True, slots=True)
class ForeignSquares:
    """Square, which needs no gradient; it leaves a picture alone once its verdict has turned."""

    verdict: Verdict
    epsilon: float
    queries: int
    seed: int = 0

    def __call__(self, score: Score, x: Tensor, direction: Tensor) -> Tensor:
        """See Attack."""
        make = _named("pyautoattack.square:SquareAttack")

        def found(model: Callable[[Tensor], Tensor], x: Tensor, y: Tensor) -> Tensor:
            attack = make(model, n_queries=self.queries, eps=self.epsilon, seed=self.seed)
            pictures: Tensor = attack.perturb(x, y)
            return pictures

        return _apart(found, self.verdict, score, (x, direction))


def _named(name: str) -> Any:
    demand("pyautoattack")
    return resolve_name(name)


def _apart(found: Found, verdict: Verdict, score: Score, seen: tuple[Tensor, Tensor]) -> Tensor:
    """Return what a foreign attack makes of pictures, without its hold on torch's own random numbers."""
    x, direction = seen
    with torch.random.fork_rng(devices=[]):
        pictures = found(lambda at: verdict.logits(score, at), x, labels(direction))
    return pictures.detach()
