"""What is asked of outside witnesses is our score at our threshold, and what they answer is judged rightly.

Nothing here needs them: tests/training/bench/test_witness_command.py asks the witnesses themselves.
"""

import re
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from pydantic import JsonValue
from torch import Tensor
from torch.nn import functional
from typing_extensions import override

from bench.witness.foreign import AutoPgd, demand
from bench.witness.harm import Harm, harm, spread, suffered, worse
from bench.witness.proof import OURS, ROUNDING, Proofs, proof, restated_of
from bench.witness.two_classes import ANOMALOUS, NORMAL, Verdict, labels
from steadyline.errors import InvalidConfiguration
from steadyline.grid import Grid
from tests.support.torch_models import Darkest
from trainer.detectors.certified.layout import Layout
from trainer.detectors.certified.served import CertifiedServed
from trainer.evaluation.attacks import Pgd, RandomSigns
from trainer.evaluation.subject import AttackTarget

EPSILON = 2 / 255
X = torch.rand((8, 1, 16, 16), generator=torch.Generator().manual_seed(0)) * 0.6 + 0.2
ANOMALIES = np.array([False, True] * 4)


def target(module: Darkest | None = None) -> AttackTarget:
    return AttackTarget(module or Darkest(), X, ANOMALIES)


def verdict(at: AttackTarget) -> Verdict:
    scores = torch.from_numpy(at.scores(at.x))
    return Verdict(float(scores.median()), spread(scores))


class TestTwoClasses:
    @pytest.mark.parametrize("unit", [1e-3, 1.0, 50.0])
    def test_the_larger_logit_is_the_verdict_whatever_the_unit(self, unit: float) -> None:
        at = target()
        judge = replace(verdict(at), unit=unit)
        found = judge.logits(at.score, X).argmax(1) == ANOMALOUS
        assert torch.equal(found, judge.anomalous(at.score(X)))
        assert found.any()
        assert not found.all()

    def test_a_score_at_the_threshold_is_normal(self) -> None:
        assert Verdict(0.5, 1).anomalous(torch.tensor([0.4, 0.5, 0.6])).tolist() == [False, False, True]

    def test_what_an_attack_raises_is_labelled_normal(self) -> None:
        assert labels(target().direction).tolist() == [NORMAL, ANOMALOUS] * 4

    def test_a_step_up_the_loss_of_the_true_class_is_a_step_in_our_direction(self) -> None:
        at = target()
        x = X.clone().requires_grad_(True)
        loss = functional.cross_entropy(verdict(at).logits(at.score, x), labels(at.direction))
        (theirs,) = torch.autograd.grad(loss, x)
        again = X.clone().requires_grad_(True)
        (ours,) = torch.autograd.grad((at.score(again) * at.direction).sum(), again)
        assert torch.equal(theirs.sign(), ours.sign())

    def test_the_loss_is_flat_for_no_picture_in_units_of_the_spread(self) -> None:
        at = target()
        logits = verdict(at).logits(at.score, X)
        assert float(functional.cross_entropy(logits, labels(at.direction), reduction="none").min()) > 1e-4
        assert spread(torch.ones(4)) > 0


class TestHarm:
    def test_a_verdict_that_was_wrong_before_does_not_turn(self) -> None:
        at = AttackTarget(Darkest(), X[:4], np.array([False, True, True, False]))
        clean = at.scores(at.x)
        judge = Verdict(float(np.median(clean)), 1)
        right = (clean > judge.threshold) == at.anomalous
        flipped = np.where(clean > judge.threshold, -1, 1).astype(np.float32)
        found = harm(at, judge, flipped)
        assert found.right == right.sum()
        assert found.hidden == (right & at.anomalous).sum()
        assert found.raised == (right & ~at.anomalous).sum()
        assert harm(at, judge, clean).turned == 0

    def test_more_is_told_of_verdicts_and_of_what_is_left(self) -> None:
        ours = {"our PGD": some(turned=4, auroc=0.80), "our APGD": some(turned=5, auroc=0.79)}
        same = some(turned=5, auroc=0.775)
        assert worse(ours, {"theirs": same}) == []
        more = some(turned=10, auroc=0.76)
        assert worse(ours, {"theirs": more}) == [
            "theirs turned 0.100 of the verdicts, ours 0.050",
            "theirs left an AUROC of 0.760, ours 0.790",
        ]

    def test_one_picture_among_few_is_no_difference(self) -> None:
        few = replace(some(turned=1, auroc=0.8), right=10)
        assert worse({"ours": replace(few, hidden=0)}, {"theirs": few}) == []

    def test_an_attack_that_leaves_its_size_is_refused(self) -> None:
        at = target()
        suffered(at, verdict(at), Pgd(EPSILON, 3), EPSILON)
        with pytest.raises(ValueError, match="changed a pixel by"):
            suffered(at, verdict(at), RandomSigns(2 * EPSILON), EPSILON)


def some(turned: int, auroc: float) -> Harm:
    return Harm(np.zeros(100, np.float32), right=100, hidden=turned, raised=0, auroc=auroc)


class TestRestated:
    @pytest.mark.parametrize(
        ("grid", "channels", "pool"), [(Grid(16, 16), 1, 1), (Grid(12, 22), 3, 1), (Grid(33, 26), 1, 2)]
    )
    def test_it_is_the_same_score(self, grid: Grid, channels: int, pool: int) -> None:
        layout = Layout(grid, patch=4, stride=2, pool=pool)
        module = certified(layout, channels)
        numbers: JsonValue = {"patch": 4, "stride": 2, "tolerance": 0.02, "pool": pool}
        again = restated_of({"size": grid.height, "width": grid.width, "numbers": numbers}, module)
        x = torch.rand((5, channels, *grid), generator=torch.Generator().manual_seed(2))
        torch.testing.assert_close(again(x)[:, 0], module.score_alone(x), atol=1e-6, rtol=0)


def certified(layout: Layout, channels: int = 1) -> CertifiedServed:
    """Return a certified module with patches and usual distances of chance."""
    random = torch.Generator().manual_seed(1)
    module = CertifiedServed(layout, 0.02, (layout.patch**2 * channels, 6))
    module.memory.copy_(torch.rand(module.memory.shape, generator=random))
    module.usual.copy_(torch.rand(module.usual.shape, generator=random) * 0.1)
    return module.eval()


class ClaimedBound(Darkest):
    """Says that its score moves by half of what a pixel does: the truth is up to once."""

    lipschitz = 0.5

    @override
    def score_float(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return 1 - x.mean((1, 2, 3)), 1 - x.mean(1)


class TestProofs:
    def test_a_detector_that_proves_nothing_has_none(self) -> None:
        assert proof({}, target(), EPSILON, []) is None

    def test_a_score_beyond_a_claimed_bound_is_found(self) -> None:
        at = target(ClaimedBound())
        attacked = at.scores(at.attacked(Pgd(EPSILON, 5)))
        found = proof({}, at, EPSILON, [attacked])
        assert found is not None
        assert found.outside == {OURS: 8}
        assert (found.tried, found.holds) == (16, False)
        within = proof({}, at, EPSILON, [at.scores(at.x)])
        assert within is not None
        assert within.holds

    def test_widths_ends_and_the_worst_case_are_those_of_the_intervals(self) -> None:
        low, high = torch.tensor([0.1, 0.5]), torch.tensor([0.3, 0.6])
        found = Proofs({OURS: (low, high), "theirs": (low + 0.01, high + 0.01)}, {OURS: 0, "theirs": 0}, 2, 0)
        assert found.width(OURS) == pytest.approx(0.15)
        assert found.tighter("theirs") == (2, 0)
        assert found.auroc(OURS, np.array([False, True])) == 1
        assert found.auroc(OURS, np.array([True, False])) == 0
        assert found.holds
        assert not replace(found, apart=2 * ROUNDING).holds


def test_without_a_witness_the_error_says_which_command_brings_it() -> None:
    with pytest.raises(InvalidConfiguration, match=r"no_such_witness is not installed.*make bench-witness"):
        demand("no_such_witness")


@pytest.mark.skipif(find_spec("pyautoattack") is not None, reason="AutoAttack is here")
def test_without_autoattack_its_attack_says_so() -> None:
    at = target()
    with pytest.raises(InvalidConfiguration, match=re.escape(".venv-witness/bin/python")):
        at.attacked(AutoPgd(verdict(at), EPSILON, 2))
