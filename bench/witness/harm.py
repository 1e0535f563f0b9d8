"""What attacks of the same size did to the same pictures, and whether a foreign one did more than ours."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.witness.two_classes import Verdict
from trainer.evaluation.attacks import Attack, attack_in_batches
from trainer.evaluation.subject import AttackTarget, Scores

MORE = 0.02  # of the verdicts, or of AUROC, by which a foreign attack may surpass ours
_WITHIN = 1e-6  # of a pixel in [0, 1]: what float32 may add to a change of exactly epsilon


@dataclass(frozen=True, slots=True)
class Harm:
    """``turned`` of the ``right`` verdicts are wrong now: ``hidden`` of anomalies, ``raised`` of normals.

    ``scores`` (N,) are those of the attacked pictures, ``auroc`` what is left with them.
    """

    scores: Scores
    right: int
    hidden: int
    raised: int
    auroc: float

    @property
    def turned(self) -> float:
        """The share of verdicts that were right before and are not now."""
        return (self.hidden + self.raised) / max(1, self.right)


def suffered(target: AttackTarget, verdict: Verdict, attack: Attack, epsilon: float) -> Harm:
    """Return what ``attack`` does; raises ValueError when it leaves its size, or what a picture may hold."""
    found = attack_in_batches(attack, target.score, target.x, target.direction)
    most = float((found - target.x).abs().max())
    if most > epsilon + _WITHIN or float(found.min()) < 0 or float(found.max()) > 1:
        raise ValueError(f"an attack of {epsilon:g} changed a pixel by {most:g}, or left [0, 1]")
    return harm(target, verdict, target.scores(found))


def harm(target: AttackTarget, verdict: Verdict, scores: Scores) -> Harm:
    """Return the harm of the scores (N,) that pictures have under an attack."""
    clean = target.scores(target.x)
    right = _judged(verdict, clean) == target.anomalous
    turned = right & (_judged(verdict, scores) != target.anomalous)
    return Harm(
        scores,
        int(right.sum()),
        int((turned & target.anomalous).sum()),
        int((turned & ~target.anomalous).sum()),
        target.auroc(scores),
    )


def worse(ours: Mapping[str, Harm], foreign: Mapping[str, Harm]) -> list[str]:
    """Return a sentence for each foreign attack that did more harm than the best of ours, by more than MORE.

    Of the verdicts it must be more than one picture, too: among few, one is more than a fiftieth.
    """
    most = max(ours.values(), key=lambda one: one.turned)
    least = min(one.auroc for one in ours.values())
    found = []
    for name, one in foreign.items():
        pictures = one.hidden + one.raised - most.hidden - most.raised
        if one.turned - most.turned > MORE and pictures > 1:
            found.append(f"{name} turned {one.turned:.3f} of the verdicts, ours {most.turned:.3f}")
        if least - one.auroc > MORE:
            found.append(f"{name} left an AUROC of {one.auroc:.3f}, ours {least:.3f}")
    return found


def _judged(verdict: Verdict, scores: Scores) -> NDArray[np.bool_]:
    judged: NDArray[np.bool_] = verdict.anomalous(torch.from_numpy(scores)).numpy()
    return judged


def spread(scores: Tensor) -> float:
    """Return the standard deviation of scores (N,) as a unit: never zero."""
    return max(float(scores.std()), 1e-6)
