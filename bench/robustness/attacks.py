"""The long attacks: ever longer ones, each only on pictures whose place in the ranking is still open.

An attack raises normals and lowers anomalies, and the worst score found so far is kept. So a normal above
every anomaly stays above them, and an anomaly below every normal stays below: their part of the AUROC is
settled, exactly, and no further step is spent on them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from bench.robustness.plan import AttackSettings
from bench.robustness.result_cache import ResultCache
from trainer.evaluation.attacks import Attack, Pgd
from trainer.evaluation.evaluate import name_of
from trainer.evaluation.sanity import NOTHING_LEFT
from trainer.evaluation.subject import AttackTarget, Scores

Rows = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class AttackResult:
    """``scores`` (N,) and ``pictures`` (N, S, S, C), rounded to 8 bits, are the worst found; ``stages`` the
    AUROC after each attack. ``is_bound``: the attack stopped because nothing was left, so that the AUROC is
    at most this.
    """

    scores: Scores
    pictures: NDArray[np.uint8]
    stages: dict[str, float]
    is_bound: bool
    unsettled: dict[str, int]

    @property
    def auroc(self) -> float:
        """The AUROC after the last attack."""
        return list(self.stages.values())[-1]


def attacked(
    subject: AttackTarget, epsilon: float, settings: AttackSettings, kept: ResultCache
) -> AttackResult:
    """Return the worst of all attacks of one size."""
    worst = subject.scores(subject.x)
    pictures = _rounded(subject.x)
    stages: dict[str, float] = {}
    unsettled: dict[str, int] = {}
    is_bound = False
    for name, attack in _stages(epsilon, settings):
        rows = unsettled_rows(worst, subject.anomalous)
        if len(rows) and stages and subject.auroc(worst) < NOTHING_LEFT:
            is_bound = True
            break
        unsettled[name] = len(rows)
        if len(rows):
            found = kept.arrays(f"{name} {name_of(epsilon)}", partial(_run, subject, rows, attack))
            better = (found["scores"] - worst[rows]) * np.where(subject.anomalous[rows], -1, 1) > 0
            worst[rows[better]] = found["scores"][better]
            pictures[rows[better]] = found["pictures"][better]
        stages[name] = round(subject.auroc(worst), 4)
    return AttackResult(worst, pictures, stages, is_bound, unsettled)


def unsettled_rows(scores: Scores, anomalous: NDArray[np.bool_]) -> Rows:
    """Return the pictures whose order with some picture of the other kind an attack can still change."""
    highest, lowest = scores[anomalous].max(), scores[~anomalous].min()
    return np.flatnonzero(np.where(anomalous, scores >= lowest, scores <= highest))


def _stages(epsilon: float, settings: AttackSettings) -> Iterator[tuple[str, Attack]]:
    """Yield a short attack, then each start of the long one."""
    if settings.first_steps:
        yield f"PGD-{settings.first_steps}", Pgd(epsilon, settings.first_steps, seed=settings.seed)
    for start in range(settings.restarts):
        name = f"PGD-{settings.steps} start {start + 1}"
        yield name, Pgd(epsilon, settings.steps, seed=settings.seed + 1 + start)


def _run(subject: AttackTarget, rows: Rows, attack: Attack) -> dict[str, NDArray[np.generic]]:
    part = subject.part(rows)
    hit = part.attacked(attack)
    return {"scores": part.scores(hit), "pictures": _rounded(hit)}


def _rounded(x: torch.Tensor) -> NDArray[np.uint8]:
    found: NDArray[np.uint8] = (x * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()
    return found
