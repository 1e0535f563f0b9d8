"""An evaluation says how good a model is, and notices when its own figures cannot be true."""

import io
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from typing_extensions import override

from steadyline.grid import Grid
from steadyline.prepare import prepare
from steadyline.terminal import PlainConsole
from tests.support.parts import defective_parts, good_parts
from tests.support.torch_models import Darkest, Masked
from trainer.data.mvtec import TestSet
from trainer.evaluation.attack_plan import IndependentAttacks
from trainer.evaluation.evaluate import Evaluation, evaluate
from trainer.evaluation.evaluator import EvaluationSettings
from trainer.evaluation.report import report, show

SETTINGS = EvaluationSettings(attack=IndependentAttacks((5, 10)), checked=12)


def a_test_set() -> TestSet:
    good, (bad, masks) = good_parts(16, seed=5), defective_parts(16, seed=6)
    return TestSet(
        pictures=np.concatenate([good, bad]),
        kinds=("good",) * 16 + ("scratch",) * 16,
        names=tuple(str(index) for index in range(32)),
        masks=np.concatenate([np.zeros_like(masks), masks]),
        located=np.ones(32, bool),
    )


def quiet(step: int, total: int, message: str) -> None:
    assert 0 <= step <= total


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    return evaluate(Darkest(), a_test_set(), SETTINGS, quiet, other=Darkest())


def checks(evaluation: Evaluation) -> dict[str, bool]:
    rows: Any = evaluation.figures["sanity"]
    return {row["check"]: row["holds"] for row in rows}


def test_the_figures_have_the_agreed_names(evaluation: Evaluation) -> None:
    figures: Any = evaluation.figures
    assert sorted(figures) == [
        "attack",
        "forward_ms",
        "image_auroc",
        "kinds",
        "pixel",
        "sanity",
        "seconds",
    ]
    image = figures["image_auroc"]
    assert sorted(image) == ["clean", "corruptions", "noise", "pgd", "sides"]
    assert {size: sorted(found) for size, found in image["pgd"].items()} == {
        "2/255": ["10", "5"],
        "4/255": ["10", "5"],
    }
    assert len(image["corruptions"]) == 8
    assert image["clean"] > 0.95
    assert figures["pixel"]["auroc"] > 0.7
    assert figures["pixel"]["aupro"] > 0.5
    assert 0 < figures["pixel"]["ap"] <= 1


def test_an_honest_model_passes_every_check(evaluation: Evaluation) -> None:
    assert [name for name, holds in checks(evaluation).items() if not holds] == []
    assert "white box is stronger than transfer" in checks(evaluation)


def test_masked_gradients_are_noticed() -> None:
    found = checks(evaluate(Masked(), a_test_set(), SETTINGS, quiet))
    assert not found["every picture has a gradient or a proof"]
    assert not found["a larger attack is stronger, and a huge one wins"]


class Proven(Darkest):
    """A mean of pixels moves by no more than the pixels, and a smooth maximum by no more than its input."""

    lipschitz = 1.0


class Boastful(Proven):
    """Claims what it does not keep: the score moves forty times as far."""

    @override
    def score_float(self, x: Tensor) -> tuple[Tensor, Tensor]:
        score, anomaly_map = super().score_float(x)
        return 40 * score, anomaly_map


def test_a_certificate_is_reported_and_a_false_one_is_noticed() -> None:
    name = "no attack does more than the certificate allows"
    quick = replace(SETTINGS, checked=0)
    proven = evaluate(Proven(), a_test_set(), quick, quiet)
    boastful = evaluate(Boastful(), a_test_set(), replace(quick, epsilons=(64 / 255,)), quiet)
    image: Any = proven.figures["image_auroc"]
    assert sorted(image["certified"]) == ["2/255", "4/255"]
    assert image["certified"]["4/255"] <= image["pgd"]["4/255"]["10"] <= image["clean"]
    assert checks(proven)[name]
    assert "certified, 2/255" in report(proven, "plates", {})
    assert not checks(boastful)[name]


def test_a_random_score_is_noticed() -> None:
    class Random(Darkest):
        @override
        def score_float(self, x: Tensor) -> tuple[Tensor, Tensor]:
            score, anomaly_map = super().score_float(x)
            return score + 0.01 * torch.rand(len(x)), anomaly_map

    assert not checks(evaluate(Random(), a_test_set(), SETTINGS, quiet))[
        "the attacked score is the served score"
    ]


def test_without_ground_truth_there_is_no_pixel_figure_and_checks_can_be_left_out() -> None:
    found = evaluate(Darkest(), replace(a_test_set(), masks=None), replace(SETTINGS, checked=0), quiet)
    assert "pixel" not in found.figures
    assert len(checks(found)) == 2


def test_the_report_is_one_page_that_needs_nothing_else(evaluation: Evaluation) -> None:
    page = report(evaluation, "plates <v3>", {"data": "made-up parts"})
    assert "plates &lt;v3&gt;" in page
    assert page.count("<svg") == 2
    assert "FAILS" not in page
    assert re.search(r"<th>scratch</th><td class=\"n\">16</td>", page)
    assert not re.search(r'(?:src|href)="(?!#)', page)
    assert page == report(evaluation, "plates <v3>", {"data": "made-up parts"})


def test_the_terminal_tells_the_kinds_of_defects_apart(evaluation: Evaluation) -> None:
    console = PlainConsole(record=True, width=100, file=io.StringIO())
    show(evaluation, console)
    assert re.search(r"scratch\W+16(\W+\d\.\d{3}){3}", console.export_text())


def test_an_attack_through_the_resize_can_do_no_more_than_one_at_the_input() -> None:
    made = a_test_set()
    large = tuple(np.kron(picture[..., 0], np.ones((3, 3), np.uint8))[..., None] for picture in made.pictures)
    test = replace(made, pictures=np.stack([prepare(picture, Grid.square(32), "gray") for picture in large]))
    attack = IndependentAttacks((10,))
    settings = EvaluationSettings(epsilons=(8 / 255,), attack=attack, attacked=12, checked=6)
    through = replace(settings, at="native")
    native: Any = evaluate(Darkest(), replace(test, native=large), through, quiet).figures
    at_input: Any = evaluate(Darkest(), test, settings, quiet).figures
    assert native["attack"] == {"at": "native", "good": 12, "defective": 12}
    assert [row["check"] for row in native["sanity"] if not row["holds"]] == []
    found, without = (figures["image_auroc"]["pgd"]["8/255"]["10"] for figures in (native, at_input))
    assert without <= found < native["image_auroc"]["clean"]
