"""Our proven interval of a score beside auto-LiRPA's, and every attacked score against both."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.witness import lirpa
from bench.witness.restated import RestatedDistance
from trainer.detector_protocol import Recipe, Served
from trainer.detectors.certified.layout import Layout
from trainer.detectors.certified.served import CertifiedServed
from trainer.detectors.recipe import grid_in_recipe
from trainer.evaluation.attacks import at_once
from trainer.evaluation.auroc import auroc
from trainer.evaluation.subject import AttackTarget, Scores

OURS = "ours"
ROUNDING = 1e-5  # what float32 may add to a score that is proven in real numbers (docs/certificate.md)

Interval = tuple[Tensor, Tensor]


@dataclass(frozen=True, slots=True)
class Proofs:
    """Intervals (N,) of the scores by who proved them, and how many attacked scores lie outside of each.

    ``apart`` is the largest difference between the score of the model and that of the graph that auto-LiRPA
    was given.
    """

    intervals: Mapping[str, Interval]
    outside: Mapping[str, int]
    tried: int
    apart: float

    @property
    def holds(self) -> bool:
        """Whether no attacked score lies outside of any interval, and both graphs are one score."""
        return self.apart <= ROUNDING and not any(self.outside.values())

    def width(self, name: str) -> float:
        """Return the mean width of the intervals of ``name``."""
        low, high = self.intervals[name]
        return float((high - low).mean())

    def auroc(self, name: str, anomalous: NDArray[np.bool_]) -> float:
        """Return the AUROC below which no attack comes, by the intervals of ``name``."""
        worst = torch.where(torch.from_numpy(anomalous), *self.intervals[name])
        return auroc(worst.numpy(), anomalous)

    def tighter(self, name: str) -> tuple[int, int]:
        """Return for how many pictures the interval of ``name`` ends before ours: below, and above."""
        (low, high), (our_low, our_high) = self.intervals[name], self.intervals[OURS]
        return int((low > our_low + ROUNDING).sum()), int((high < our_high - ROUNDING).sum())


def proof(recipe: Recipe, target: AttackTarget, epsilon: float, attacked: Iterable[Scores]) -> Proofs | None:
    """Return the proofs of a certified model at ``target``; None when the model proves nothing.

    ``attacked`` are the scores (N,) that attacks of at most ``epsilon`` reached, of the same pictures. A
    model that proves something by other means than ``certified`` has our interval alone.
    """
    ours = _ours(target, epsilon)
    if ours is None:
        return None
    intervals, apart = {OURS: ours}, 0.0
    if isinstance(target.module, CertifiedServed):
        restated = restated_of(recipe, target.module)
        intervals |= lirpa.bounds(restated, target.x, epsilon)
        with torch.inference_mode():
            rows = [restated(part)[:, 0] for part in torch.split(target.x, 1)]
        apart = float(np.abs(torch.cat(rows).numpy() - target.scores(target.x)).max())
    reached = [target.scores(target.x), *attacked]
    outside = {name: sum(_outside(one, scores) for scores in reached) for name, one in intervals.items()}
    return Proofs(intervals, outside, sum(map(len, reached)), apart)


def restated_of(recipe: Recipe, module: Served) -> RestatedDistance:
    """Return the graph for auto-LiRPA of a model of ``certified``, with its own patches and numbers."""
    state = module.state_dict()
    numbers: Any = recipe["numbers"]
    layout = Layout(grid_in_recipe(recipe), numbers["patch"], numbers["stride"], numbers.get("pool", 1))
    return RestatedDistance(layout, numbers["tolerance"], state["memory"], state["usual"]).eval()


def _ours(target: AttackTarget, epsilon: float) -> Interval | None:
    found = []
    with torch.inference_mode():
        for part in torch.split(target.x, at_once(target.x)):
            interval = target.module.score_bounds(part, epsilon)
            if interval is None:
                return None
            found.append(interval)
    return torch.cat([low for low, _ in found]), torch.cat([high for _, high in found])


def _outside(interval: Interval, scores: Scores) -> int:
    low, high = (end.numpy() for end in interval)
    return int(((scores < low - ROUNDING) | (scores > high + ROUNDING)).sum())
