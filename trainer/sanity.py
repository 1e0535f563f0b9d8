"""Can the figures of an evaluation be believed? Checks that fail when an attack is weak or gradients are
masked.

They follow "On Evaluating Adversarial Robustness" (Carlini et al., 2019) and what went wrong in published
figures of this field: robust AUROCs above clean ones, attacks whose random start was drawn anew at each step.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import JsonValue

from trainer.attack import Pgd, Squares
from trainer.detectors.protocol import Served
from trainer.subject import Scores, Subject

EPSILON = 2 / 255
LADDER = (10, 20, 50, 100)  # PGD steps
SIZES = (1 / 255, 2 / 255, 4 / 255, 8 / 255)
HUGE = 64 / 255
QUERIES = 200

# An attack is a search: a longer one ends in another place. Ten pairs of pictures in a thousand may change
# order.
SLACK = 0.01
CONVERGED = 0.01  # from 50 steps to 100
BLIND_NOISE = 0.03  # what random noise of the attack's size may change
BROKEN = 0.05  # AUROC that is left at 64/255: pictures can be repainted


@dataclass(frozen=True, slots=True)
class Check:
    """One check with the numbers it was decided by."""

    check: str
    holds: bool
    figure: dict[str, float]

    def as_json(self) -> dict[str, JsonValue]:
        """Return it as JSON."""
        figures: dict[str, JsonValue] = {name: round(value, 4) for name, value in self.figure.items()}
        return {"check": self.check, "holds": self.holds, "figure": figures}


class Sanity:
    """Runs the checks that need attacks of their own, on some of the pictures."""

    def __init__(self, subject: Subject, seed: int) -> None:
        self._subject, self._seed = subject, seed

    def checks(self, other: Served | None) -> Iterator[Check]:
        """Yield every check; ``other`` is a second model for the transfer."""
        yield self._same_path()
        yield self._steps()
        yield self._sizes()
        yield from self._one_sided()
        yield self._black_box()
        if other is not None:
            yield self._transfer(other)
        yield self._gradients()

    @cached_property
    def clean(self) -> Scores:
        """Scores of the pictures as they are."""
        return self._subject.scores(self._subject.x)

    @cached_property
    def by_steps(self) -> dict[int, Scores]:
        """Steps → scores under attack."""
        return {steps: self._attacked(EPSILON, steps) for steps in LADDER}

    @cached_property
    def by_size(self) -> dict[float, float]:
        """Epsilon → AUROC under 20 steps, from none to huge: the robustness curve."""
        found = {0.0: self._subject.auroc(self.clean)}
        for epsilon in (*SIZES, HUGE):
            scores = self.by_steps[20] if epsilon == EPSILON else self._attacked(epsilon, 20)
            found[epsilon] = self._subject.auroc(scores)
        return found

    def _attacked(self, epsilon: float, steps: int) -> Scores:
        return self._subject.scores(self._subject.attacked(Pgd(epsilon, steps, seed=self._seed)))

    def _same_path(self) -> Check:
        """The attacked path is the served one, and nothing in it is random."""
        pictures = (self._subject.x[:32] * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()
        with torch.inference_mode():
            served = self._subject.module(pictures)[0].numpy()
            again = self._subject.module(pictures)[0].numpy()
        apart = float(np.abs(served - self.clean[: len(served)]).max())
        random = float(np.abs(served - again).max())
        holds = apart <= 1e-4 * max(1.0, float(np.abs(served).max())) and random == 0.0
        return Check("the attacked score is the served score", holds, {"differs": apart, "random": random})

    def _steps(self) -> Check:
        found = {steps: self._subject.auroc(scores) for steps, scores in self.by_steps.items()}
        ladder = [found[steps] for steps in LADDER]
        falling = all(after <= before + SLACK for before, after in pairwise(ladder))
        holds = falling and abs(ladder[-1] - ladder[-2]) <= CONVERGED
        return Check("more steps are not weaker, and converge", holds, {str(k): v for k, v in found.items()})

    def _sizes(self) -> Check:
        curve = list(self.by_size.values())
        falling = all(after <= before + SLACK for before, after in pairwise(curve))
        figure = {f"{epsilon * 255:g}/255": value for epsilon, value in self.by_size.items()}
        return Check(
            "a larger attack is stronger, and a huge one wins", falling and curve[-1] <= BROKEN, figure
        )

    def _one_sided(self) -> Iterator[Check]:
        both, clean = self.by_steps[LADDER[-1]], self._subject.auroc(self.clean)
        least = self._subject.auroc(both)
        for name, moved in (("normals", ~self._subject.anomalous), ("anomalies", self._subject.anomalous)):
            figure = self._subject.auroc(np.where(moved, both, self.clean))
            holds = least - SLACK <= figure <= clean
            yield Check(
                f"attacking {name} only lies between", holds, {"clean": clean, "only": figure, "both": least}
            )

    def _black_box(self) -> Check:
        hit = self._subject.attacked(Squares(EPSILON, QUERIES, seed=self._seed))
        squares = self._subject.auroc(self._subject.scores(hit))
        white = self._subject.auroc(self.by_steps[LADDER[-1]])
        return Check(
            "white box is stronger than black box",
            white <= squares + SLACK,
            {"white": white, "black": squares},
        )

    def _transfer(self, other: Served) -> Check:
        theirs = Subject(other, self._subject.x, self._subject.anomalous)
        hit = theirs.attacked(Pgd(EPSILON, LADDER[1], seed=self._seed))
        transfer = self._subject.auroc(self._subject.scores(hit))
        white = self._subject.auroc(self.by_steps[LADDER[1]])
        return Check(
            "white box is stronger than transfer",
            white <= transfer + SLACK,
            {"white": white, "transfer": transfer},
        )

    def _gradients(self) -> Check:
        """Where the gradient vanishes an attack sees nothing."""
        x = self._subject.x.clone().requires_grad_(True)
        (gradient,) = torch.autograd.grad(self._subject.score(x).sum(), x)
        share = float((gradient.flatten(1) != 0).any(1).float().mean())
        finite = bool(torch.isfinite(gradient).all())
        return Check("every picture has a gradient", finite and share == 1.0, {"share": share})


def chosen(anomalous: NDArray[np.bool_], of_each: int) -> NDArray[np.intp]:
    """Return up to ``of_each`` normals and anomalies, evenly over the pictures as they come."""
    found = []
    for kind in (False, True):
        index = np.flatnonzero(anomalous == kind)
        found.append(index[np.unique(np.linspace(0, len(index) - 1, of_each).round().astype(np.intp))])
    return np.concatenate(found)
