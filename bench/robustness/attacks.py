"""The staged attack: ever longer attacks, each only on the pictures whose place in the ranking is still open.

An attack raises normals and lowers anomalies, and the worst score found so far is kept. So a normal above
every anomaly stays above them, and an anomaly below every normal stays below: their part of the AUROC is
settled, exactly, and no further step is spent on them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from trainer.evaluation.attack_plan import AttackResult, AttackRuns, NamedAttack
from trainer.evaluation.attacks import Pgd, name_of
from trainer.evaluation.results import Arrays
from trainer.evaluation.sanity import NOTHING_LEFT
from trainer.evaluation.subject import AttackTarget, Scores, floats, rounded

Rows = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class StagedAttack:
    """Runs a PGD of ``first_steps`` (0 means none), then ``restarts`` starts of a long PGD of ``steps``.

    The result holds the worst pictures of all attacks, rounded to 8 bits.
    """

    first_steps: int
    steps: int
    restarts: int

    @property
    def total_steps(self) -> int:
        """See AttackPlan."""
        return self.first_steps + self.steps * self.restarts

    def run(self, target: AttackTarget, epsilon: float, seed: int, runs: AttackRuns) -> AttackResult:
        """See AttackPlan."""
        worst = target.scores(target.x)
        pictures = rounded(target.x)
        stages: dict[str, float] = {}
        unsettled: dict[str, int] = {}
        is_bound = False
        for stage, attack in self._stages(epsilon, seed):
            rows = unsettled_rows(worst, target.anomalous)
            if len(rows) and stages and target.auroc(worst) < NOTHING_LEFT:
                is_bound = True
                break
            unsettled[stage] = len(rows)
            if len(rows):
                found = runs.results.arrays(attack.name, partial(_attacked, target.part(rows), attack, runs))
                better = (found["scores"] - worst[rows]) * np.where(target.anomalous[rows], -1, 1) > 0
                worst[rows[better]] = found["scores"][better]
                pictures[rows[better]] = found["pictures"][better]
            stages[stage] = target.auroc(worst)
        return AttackResult(worst, floats(pictures), stages, is_bound, unsettled)

    def _stages(self, epsilon: float, seed: int) -> Iterator[tuple[str, NamedAttack]]:
        """Yield a short attack, then each start of the long one, with the name of the stage."""
        plan = [(f"PGD-{self.first_steps}", Pgd(epsilon, self.first_steps, seed=seed))]
        plan += [
            (f"PGD-{self.steps} start {start}", Pgd(epsilon, self.steps, seed=seed + start))
            for start in range(1, self.restarts + 1)
        ]
        for stage, attack in plan:
            if attack.steps:
                yield stage, NamedAttack(f"{stage} {name_of(epsilon)}", attack, attack.steps)


def unsettled_rows(scores: Scores, anomalous: NDArray[np.bool_]) -> Rows:
    """Return the pictures whose order with some picture of the other kind an attack can still change."""
    highest, lowest = scores[anomalous].max(), scores[~anomalous].min()
    return np.flatnonzero(np.where(anomalous, scores >= lowest, scores <= highest))


def _attacked(part: AttackTarget, attack: NamedAttack, runs: AttackRuns) -> Arrays:
    pictures = runs.attacked(part, attack)
    return {"scores": part.scores(pictures), "pictures": rounded(pictures)}
