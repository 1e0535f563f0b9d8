"""Checks whether the figures of an evaluation can be believed: they fail when an attack is weak or gradients
are masked.

The checks follow "On Evaluating Adversarial Robustness" (Carlini et al., 2019) and errors in published
figures of this field: robust AUROCs above clean ones, and attacks whose random start was drawn anew at each
step.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import JsonValue

from trainer.detector_protocol import Served
from trainer.evaluation.attacks import Apgd, Attack, Pgd, Squares, at_once
from trainer.evaluation.results import FreshResults, Results
from trainer.evaluation.subject import AttackTarget, Scores, rounded

EPSILON = 2 / 255
LADDER = (10, 20, 50, 100)  # PGD steps
SIZES = (1 / 255, 2 / 255, 4 / 255, 8 / 255, 16 / 255, 32 / 255)
HUGE = 64 / 255
QUERIES = 200
NOTHING_LEFT = 0.005  # below this AUROC a stronger attack has nothing to win, and is not run

# An attack is a search, and a longer one ends in another place: SLACK lets ten pairs of pictures in a
# thousand change their order.
SLACK = 0.01
CONVERGED = 0.01  # AUROC that may be lost from 50 steps to 100
HALVING = 0.02  # AUROC by which a search with another step schedule may surpass PGD
BLIND_NOISE = 0.03  # AUROC that random noise of the attack's size may change
BROKEN = 0.05  # AUROC that may be left at 64/255, where pictures can be repainted


@dataclass(frozen=True, slots=True)
class Check:
    """One check with the numbers that decided it."""

    check: str
    holds: bool
    figure: dict[str, float]

    def as_json(self) -> dict[str, JsonValue]:
        """Return it as JSON."""
        figures: dict[str, JsonValue] = {name: round(value, 4) for name, value in self.figure.items()}
        return {"check": self.check, "holds": self.holds, "figure": figures}


@dataclass(frozen=True, slots=True)
class TransferSource:
    """A second model, whose attacks are tried on the first; ``name`` tells it from others in the results."""

    module: Served
    name: str = ""


class Sanity:
    """Runs the checks that need attacks of their own, on some of the pictures.

    ``results`` is asked for the scores under each attack, by the attack's name, and may know them already.
    """

    def __init__(self, subject: AttackTarget, seed: int, results: Results | None = None) -> None:
        self._subject, self._seed, self._results = subject, seed, results or FreshResults()
        anomalies = int(subject.anomalous.sum())
        pairs = anomalies * (len(subject.anomalous) - anomalies)
        self._slack = max(SLACK, 2 / pairs)  # with few pictures, two pairs may change their order

    def checks(self, other: TransferSource | None) -> Iterator[Check]:
        """Yield every check; ``other`` is a second model for the transfer."""
        yield self._same_path()
        yield self._steps()
        yield self._sizes()
        yield from self._one_sided()
        yield self._step_halving()
        if self._subject.mixed:
            yield self._full_precision()
        yield self._black_box()
        if other is not None:
            yield self._transfer(other)
        yield self._gradients()

    @cached_property
    def clean(self) -> Scores:
        """Return the scores of the pictures as they are."""
        return self._subject.scores(self._subject.x)

    @cached_property
    def by_steps(self) -> dict[int, Scores]:
        """Return steps → scores under PGD; once an attack leaves nothing, longer ones are not run and count
        as the same.
        """
        found: dict[int, Scores] = {}
        for before, steps in pairwise((0, *LADDER)):
            found[steps] = self._stronger(found.get(before), Pgd(EPSILON, steps, seed=self._seed))
        return found

    @cached_property
    def by_size(self) -> dict[float, float]:
        """Return the robustness curve: epsilon → AUROC under 20 steps, from no attack to a huge one."""
        found, scores = {0.0: self._subject.auroc(self.clean)}, self.clean
        for epsilon in (*SIZES, HUGE):
            scores = (
                self.by_steps[20]
                if epsilon == EPSILON
                else self._stronger(scores, Pgd(epsilon, 20, seed=self._seed))
            )
            found[epsilon] = self._subject.auroc(scores)
        return found

    def _stronger(self, before: Scores | None, attack: Pgd) -> Scores:
        if before is not None and self._subject.auroc(before) < NOTHING_LEFT:
            return before
        return self._scores(f"PGD-{attack.steps} {attack.epsilon * 255:g} of 255", attack)

    def _scores(self, name: str, attack: Attack, subject: AttackTarget | None = None) -> Scores:
        """Return the scores of the pictures that ``attack`` makes against ``subject``, by default our own."""
        attacked = self._subject if subject is None else subject
        return self._results.scores(name, lambda: self._subject.scores(attacked.attacked(attack)))

    def _same_path(self) -> Check:
        """Check that the attacked path is the served one, and that nothing in it is random."""
        pictures = torch.from_numpy(rounded(self._subject.x[:32]))
        with torch.inference_mode():
            served = self._subject.module(pictures)[0].numpy()
            again = self._subject.module(pictures)[0].numpy()
        plain = self._subject.scores(pictures.permute(0, 3, 1, 2).float() / 255)
        apart = float(np.abs(served - plain).max())
        random = float(np.abs(served - again).max())
        holds = apart <= 1e-4 * max(1.0, float(np.abs(served).max())) and random == 0.0
        return Check("the attacked score is the served score", holds, {"differs": apart, "random": random})

    def _steps(self) -> Check:
        found = {steps: self._subject.auroc(scores) for steps, scores in self.by_steps.items()}
        ladder = [found[steps] for steps in LADDER]
        falling = all(after <= before + self._slack for before, after in pairwise(ladder))
        holds = falling and abs(ladder[-1] - ladder[-2]) <= max(CONVERGED, self._slack)
        return Check("more steps are not weaker, and converge", holds, {str(k): v for k, v in found.items()})

    def _sizes(self) -> Check:
        curve = list(self.by_size.values())
        falling = all(after <= before + self._slack for before, after in pairwise(curve))
        figure = {f"{epsilon * 255:g}/255": value for epsilon, value in self.by_size.items()}
        return Check(
            "a larger attack is stronger, and a huge one wins", falling and curve[-1] <= BROKEN, figure
        )

    def _one_sided(self) -> Iterator[Check]:
        both, clean = self.by_steps[LADDER[-1]], self._subject.auroc(self.clean)
        least = self._subject.auroc(both)
        for name, moved in (("normals", ~self._subject.anomalous), ("anomalies", self._subject.anomalous)):
            figure = self._subject.auroc(np.where(moved, both, self.clean))
            holds = least - self._slack <= figure <= clean
            yield Check(
                f"attacking {name} only lies between", holds, {"clean": clean, "only": figure, "both": least}
            )

    def _step_halving(self) -> Check:
        steps = LADDER[-1]
        pgd = self._subject.auroc(self.by_steps[steps])
        found = pgd
        if pgd >= NOTHING_LEFT:
            found = self._subject.auroc(self._scores("APGD", Apgd(EPSILON, steps, seed=self._seed)))
        holds = found >= pgd - max(HALVING, self._slack)
        return Check("step halving finds little that PGD missed", holds, {"pgd": pgd, "apgd": found})

    def _full_precision(self) -> Check:
        exact = replace(self._subject, mixed=False)
        found = self._subject.auroc(
            self._scores("PGD-20 float32", Pgd(EPSILON, LADDER[1], seed=self._seed), exact)
        )
        mixed = self._subject.auroc(self.by_steps[LADDER[1]])
        return Check(
            "gradients in bfloat16 are as good as in float32",
            mixed <= found + self._slack,
            {"bfloat16": mixed, "float32": found},
        )

    def _black_box(self) -> Check:
        hit = self._scores("squares", Squares(EPSILON, QUERIES, seed=self._seed))
        squares = self._subject.auroc(hit)
        white = self._subject.auroc(self.by_steps[LADDER[-1]])
        return Check(
            "white box is stronger than black box",
            white <= squares + self._slack,
            {"white": white, "black": squares},
        )

    def _transfer(self, other: TransferSource) -> Check:
        theirs = replace(self._subject, module=other.module)
        hit = self._scores(f"transfer {other.name}".strip(), Pgd(EPSILON, LADDER[1], seed=self._seed), theirs)
        transfer = self._subject.auroc(hit)
        white = self._subject.auroc(self.by_steps[LADDER[1]])
        return Check(
            "white box is stronger than transfer",
            white <= transfer + self._slack,
            {"white": white, "transfer": transfer},
        )

    def _gradients(self) -> Check:
        """Check that every picture has a gradient, unless a bound is proven.

        An attack finds nothing where the gradient vanishes, but a proven bound holds there all the same.
        """
        proven = self._subject.module.lipschitz is not None
        found = []
        for part in torch.split(self._subject.x, at_once(self._subject.x)):
            x = part.clone().requires_grad_(True)
            found.append(torch.autograd.grad(self._subject.score(x).sum(), x)[0])
        gradient = torch.cat(found)
        share = float((gradient.flatten(1) != 0).any(1).float().mean())
        finite = bool(torch.isfinite(gradient).all())
        figure = {"share": share, "proven": float(proven)}
        return Check("every picture has a gradient or a proof", finite and (share == 1.0 or proven), figure)


def chosen(anomalous: NDArray[np.bool_], of_each: int) -> NDArray[np.intp]:
    """Return the indices of up to ``of_each`` normals and as many anomalies, picked evenly in order."""
    found = []
    for kind in (False, True):
        index = np.flatnonzero(anomalous == kind)
        found.append(index[np.unique(np.linspace(0, len(index) - 1, of_each).round().astype(np.intp))])
    return np.concatenate(found)
