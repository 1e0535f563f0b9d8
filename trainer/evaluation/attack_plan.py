"""Which attacks of one size a model is put to, and what each of them leaves of the AUROC."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

import torch
from torch import Tensor

from trainer.detector_protocol import OnProgress
from trainer.evaluation.attacks import Attack, Pgd, name_of
from trainer.evaluation.results import Arrays, Results
from trainer.evaluation.subject import AttackTarget, Scores


@dataclass(frozen=True, slots=True)
class AttackResult:
    """What all attacks of one size did to K pictures.

    ``scores`` (K,) and ``pictures`` (K, C, H, W) in [0, 1] are the plan's final ones. ``stages`` holds the
    AUROC after each attack, by its name. ``is_bound`` is true when the plan stopped because almost nothing
    was left, so that the AUROC is at most this. ``unsettled`` holds how many pictures each attack was run on,
    for a plan that leaves some out.
    """

    scores: Scores
    pictures: Tensor
    stages: Mapping[str, float]
    is_bound: bool = False
    unsettled: Mapping[str, int] = field(default_factory=dict)

    @property
    def auroc(self) -> float:
        """The AUROC after the last attack."""
        return list(self.stages.values())[-1]

    @property
    def lowest(self) -> float:
        """The lowest AUROC that any of the attacks left."""
        return min(self.stages.values())


@dataclass(frozen=True, slots=True)
class NamedAttack:
    """An attack, the name of its result and how many steps it takes for each picture."""

    name: str
    attack: Attack
    steps: int = 1


class AttackRuns:
    """Runs attacks and reports how far the evaluation is, in pictures times steps out of ``total``.

    ``results`` are those of the evaluation, from which a plan takes what an earlier run has made.
    """

    def __init__(self, results: Results, on_progress: OnProgress, total: int) -> None:
        self.results = results
        self._on_progress, self._total, self._done = on_progress, total, 0

    def attacked(self, target: AttackTarget, attack: NamedAttack) -> Tensor:
        """Return the attacked pictures (N, C, H, W) of ``target``."""

        def report(pictures: int) -> None:
            self.report(pictures * attack.steps, attack.name)

        found = target.attacked(attack.attack, report)
        self._done += len(target.x) * attack.steps
        return found

    def report(self, ahead: int, message: str) -> None:
        """Report ``ahead`` picture-steps more than those of the attacks that are finished."""
        self._on_progress(min(self._total, self._done + ahead), self._total, message)

    def finish(self) -> None:
        """Report that nothing is left to be run."""
        self._on_progress(self._total, self._total, "done")


class AttackPlan(Protocol):
    """The attacks that a model is put to, for each size alike."""

    @property
    def total_steps(self) -> int:
        """How many steps the plan takes for each picture and size at most, for the progress."""
        ...

    def run(self, target: AttackTarget, epsilon: float, seed: int, runs: AttackRuns) -> AttackResult:
        """Return the result of all attacks that change a pixel by at most ``epsilon``."""
        ...


@dataclass(frozen=True, slots=True)
class IndependentAttacks:
    """PGD of several lengths, each from the start and on all pictures; the longest one's result is final.

    ``stages`` of the result are named by the number of steps.
    """

    steps: tuple[int, ...] = (20, 100)
    restarts: int = 1

    @property
    def total_steps(self) -> int:
        """See AttackPlan."""
        return sum(self.steps) * self.restarts

    def run(self, target: AttackTarget, epsilon: float, seed: int, runs: AttackRuns) -> AttackResult:
        """See AttackPlan."""
        stages: dict[str, float] = {}
        found: Arrays = {}
        for steps in sorted(self.steps):
            attack = Pgd(epsilon, steps, self.restarts, seed=seed)
            named = NamedAttack(f"PGD-{steps} {name_of(epsilon)}", attack, steps * self.restarts)
            found = runs.results.arrays(named.name, partial(_attacked, target, named, runs))
            stages[str(steps)] = target.auroc(found["scores"])
        return AttackResult(found["scores"], torch.from_numpy(found["pictures"]), stages)


def _attacked(target: AttackTarget, attack: NamedAttack, runs: AttackRuns) -> Arrays:
    pictures = runs.attacked(target, attack)
    return {"scores": target.scores(pictures), "pictures": pictures.numpy()}
