"""AutoAttack and auto-LiRPA themselves, on small models; without them, an error says what to do.

Most of this runs in the environment that has them: ``.venv-witness/bin/pytest`` with this file.
"""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from typing_extensions import override

from bench.witness import lirpa
from bench.witness.cli import main
from bench.witness.foreign import AutoPgd, BoundaryAttack, ForeignSquares
from bench.witness.harm import harm, suffered
from bench.witness.two_classes import Verdict
from tests.support.parts import a_set_of_parts, defective_parts, good_parts
from tests.support.torch_models import Darkest
from trainer.evaluation.attacks import Apgd
from trainer.evaluation.subject import AttackTarget

EPSILON = 4 / 255
HAS_WITNESSES = all(find_spec(name) is not None for name in ("pyautoattack", "auto_LiRPA"))
needs_witnesses = [
    pytest.mark.skipif(not HAS_WITNESSES, reason="run `make bench-witness`, then .venv-witness/bin/pytest"),
    pytest.mark.filterwarnings("default"),  # auto-LiRPA compiles parts of itself in a deprecated way
]


class Above(nn.Module):
    """The score max(0, sum of pixels - 1), whose bounds are known by hand."""

    @override
    def forward(self, x: Tensor) -> Tensor:
        """Return scores (B, 1)."""
        return torch.relu(x.flatten(1).sum(1, keepdim=True) - 1)


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return a_set_of_parts(tmp_path_factory.mktemp("parts") / "set")


@pytest.fixture(scope="module")
def package(parts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small package of the certified detector."""
    out = tmp_path_factory.mktemp("package") / "certified"
    words = ["--data", str(parts), "--out", str(out), "--detector", "certified", "--size", "16"]
    done = subprocess.run([sys.executable, "-m", "trainer", "fit", *words], capture_output=True, check=False)
    assert (out / "card.json").exists(), done.stderr
    return out


@pytest.fixture
def target() -> AttackTarget:
    good, (bad, _) = good_parts(6), defective_parts(6)
    return AttackTarget.of(Darkest(), np.concatenate((good, bad)), np.arange(12) >= 6)


@pytest.mark.skipif(HAS_WITNESSES, reason="the witnesses are here")
def test_without_the_witnesses_the_command_says_which_one_brings_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--data", str(tmp_path), "--model", str(tmp_path)]) != 0
    assert "make bench-witness" in capsys.readouterr().err


class TestWithWitnesses:
    pytestmark = needs_witnesses

    def test_autoattack_turns_what_our_attack_turns(self, target: AttackTarget) -> None:
        clean = target.scores(target.x)
        verdict = Verdict(float((clean[:6].max() + clean[6:].min()) / 2), float(clean.std()))
        most = harm(target, verdict, target.scores(target.attacked(Apgd(0.2, 30))))
        assert most.turned == 1
        for attack in (
            AutoPgd(verdict, 0.2, 30),
            BoundaryAttack(verdict, 0.2, 30),
            ForeignSquares(verdict, 0.2, 100),
        ):
            assert suffered(target, verdict, attack, 0.2).turned >= 0.9
        assert suffered(target, verdict, AutoPgd(verdict, 0.001, 5), 0.001).turned == 0

    def test_the_same_seed_gives_the_same_pictures_and_nobody_elses_chance_is_touched(
        self, target: AttackTarget
    ) -> None:
        attack = AutoPgd(Verdict(0.5, 0.1), EPSILON, 5, seed=3)
        before = torch.random.get_rng_state()
        first, again = (attack(target.score, target.x, target.direction) for _ in range(2))
        assert torch.equal(first, again)
        assert torch.equal(before, torch.random.get_rng_state())

    def test_auto_lirpa_gives_the_bounds_that_are_known_by_hand(self) -> None:
        x = torch.full((5, 1, 2, 2), 0.5)
        for low, high in lirpa.bounds(Above(), x, 0.1).values():
            torch.testing.assert_close(low, torch.full((5,), 0.6))
            torch.testing.assert_close(high, torch.full((5,), 1.4))

    def test_the_command_compares_attacks_and_proofs(
        self, parts: Path, package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        out = tmp_path / "figures.json"
        words = ["--data", str(parts), "--model", str(package), "--out", str(out)]
        status = main([*words, "--pictures", "5", "--steps", "10", "--queries", "20"])
        told = capsys.readouterr().out
        assert status == 0, told
        assert "AutoAttack APGD-CE" in told
        assert "no witness found more than we did" in told
        figures = json.loads(out.read_text())
        assert set(figures["proofs"]) == {"ours", "IBP", "CROWN-IBP"}
        assert all(one["outside"] == 0 for one in figures["proofs"].values())
        least = min(one["auroc"] for one in figures["attacks"].values())
        assert all(one["auroc"] <= least for one in figures["proofs"].values())
        widths = {name: one["width"] for name, one in figures["proofs"].items()}
        assert 0 < widths["ours"] <= widths["IBP"] <= 2 * 2 / 255 + 1e-5
