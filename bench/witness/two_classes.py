"""An anomaly score as the classifier of two classes that attacks on classifiers expect."""

from dataclasses import dataclass

import torch
from torch import Tensor

from trainer.evaluation.attacks import Score

NORMAL, ANOMALOUS = 0, 1


@dataclass(frozen=True, slots=True)
class Verdict:
    """The threshold that a score is judged at, and the ``unit`` that differences from it are told in.

    The unit is no part of a verdict. It keeps the logits of ordinary pictures within a few units, where
    neither softmax nor cross-entropy of float32 is flat, so that no attack is blinded by the wrapper.
    """

    threshold: float
    unit: float

    def anomalous(self, scores: Tensor) -> Tensor:
        """Return which of the scores (N,) are anomalous; a score at the threshold is normal."""
        return scores > self.threshold

    def logits(self, score: Score, x: Tensor) -> Tensor:
        """Return the logits (B, 2) of pictures (B, C, H, W): (t - s) / unit of normal, (s - t) / unit of
        anomalous. The larger one is the verdict, and their difference twice the distance from the threshold.
        """
        above = (score(x) - self.threshold) / self.unit
        return torch.stack((-above, above), dim=1)


def labels(direction: Tensor) -> Tensor:
    """Return the true classes (B,) of pictures that an attack moves in ``direction``.

    A normal is raised (+1) and an anomaly lowered (-1), see ``trainer.evaluation.attacks``.
    """
    return (direction < 0).long()
