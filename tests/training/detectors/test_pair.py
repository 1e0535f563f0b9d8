"""A pair scores by one detector and maps by another, as if each had been trained alone."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.testing import assert_close
from typing_extensions import override

from steadyline.errors import InvalidConfiguration, PackageRejected
from steadyline.line import GateSection
from tests.support.parts import defective_parts, good_parts
from trainer.data.banks import HeldOutSet
from trainer.detector_protocol import Served
from trainer.detectors.pair.served import PairServed
from trainer.evaluation.subject import floats
from trainer.fit import FitSettings, Trained, fit, rebuild
from trainer.jobs.gate_figures import measure

STEPS = 4
SMALL: dict[str, float | int | str | bool] = {
    "schedule.batch": 4,
    "schedule.attack_steps": 1,
    "shape.width": 8,
}
PARTS = good_parts(12)
PICTURES = np.concatenate([good_parts(4, seed=5), defective_parts(4, seed=6)[0]])


def settings(detector: str, part: str = "") -> FitSettings:
    overrides = {f"{part}{name}": value for name, value in SMALL.items()}
    return FitSettings(detector, seed=3, steps=STEPS, overrides=overrides)


def quiet(step: int, total: int, message: str) -> None:
    pass


Told = list[tuple[int, int, str]]


@pytest.fixture(scope="module")
def trained() -> tuple[Trained, Told]:
    torch.set_num_threads(1)
    on_progress: Told = []
    return fit(PARTS, settings("certified+robust", "map."), lambda *report: on_progress.append(report))[
        0
    ], on_progress


@pytest.fixture(scope="module")
def pair(trained: tuple[Trained, Told]) -> Trained:
    return trained[0]


def test_score_and_map_are_those_of_each_trained_alone(pair: Trained) -> None:
    verdict = fit(PARTS, FitSettings("certified", seed=3), quiet)[0].module
    mapped = fit(PARTS, settings("robust"), quiet)[0].module
    x = torch.from_numpy(PICTURES)
    score, anomaly_map, certified = pair.module(x)
    assert_close(score, verdict(x)[0])
    assert_close(certified, score)
    assert_close(anomaly_map, mapped(x)[1])
    assert_close(pair.module.score_alone(floats(PICTURES)), score)


def test_what_is_proven_of_the_score_is_proven_of_the_pair_and_what_is_not_is_not(pair: Trained) -> None:
    verdict, mapped = pair.module.verdict, pair.module.map
    assert isinstance(verdict, Served)
    assert isinstance(mapped, Served)
    assert pair.module.lipschitz == 1.0
    x, turned = floats(PICTURES), PairServed(mapped, verdict)
    bounds, own = pair.module.score_bounds(x, 2 / 255), verdict.score_bounds(x, 2 / 255)
    assert bounds is not None
    assert own is not None
    assert_close(bounds, own)
    assert turned.lipschitz is None
    assert turned.score_bounds(x, 2 / 255) is None


class Unasked(Served):
    """Must not be run."""

    @override
    def score_float(self, x: Tensor) -> tuple[Tensor, Tensor]:
        raise AssertionError("nobody needs the map")


def test_the_gate_measures_the_verdict_without_waiting_for_the_map(pair: Trained) -> None:
    verdict = pair.module.verdict
    assert isinstance(verdict, Served)
    known = HeldOutSet(PICTURES[4:], ("dark",) * 4, PICTURES[:4])
    figures = measure(PairServed(verdict, Unasked()), known, 0.5, GateSection(steps=1), lambda done, of: None)
    assert figures == measure(verdict, known, 0.5, GateSection(steps=1), lambda done, of: None)


def test_recipe_and_weights_hold_both_and_nothing_else(pair: Trained) -> None:
    again = rebuild(pair.recipe, pair.weights())
    assert_close(again(torch.from_numpy(PICTURES)), pair.module(torch.from_numpy(PICTURES)))
    assert again.lipschitz == 1.0
    alone = fit(PARTS, FitSettings("certified", seed=3), quiet)[0]
    with pytest.raises(PackageRejected, match="two parts are due"):
        rebuild(pair.recipe, alone.weights())
    with pytest.raises(PackageRejected, match="robust model do not fit"):
        rebuild({**pair.recipe, "map": alone.recipe}, pair.weights())


class KilledPair(Exception):
    """Stands for the signal."""


def test_a_training_killed_in_the_second_part_goes_on_there_to_the_same_weights(tmp_path: Path) -> None:
    order, on_progress = settings("robust+certified", "verdict."), Told()

    def until_the_second(step: int, total: int, message: str) -> None:
        if message.startswith("map: "):
            raise KilledPair

    with pytest.raises(KilledPair):
        fit(PARTS, order, until_the_second, tmp_path)
    resumed = fit(PARTS, order, lambda *report: on_progress.append(report), tmp_path)[0]
    assert not any(message.startswith("verdict: ") for _, _, message in on_progress)
    whole = fit(PARTS, order, quiet)[0]
    for name, tensor in whole.module.state_dict().items():
        assert torch.equal(resumed.module.state_dict()[name], tensor), name
    assert resumed.figures == whole.figures
    assert "map_places" in whole.figures


def test_progress_covers_both_and_never_runs_backwards(trained: tuple[Trained, Told]) -> None:
    on_progress = [report for report in trained[1] if report[2].startswith(("verdict: ", "map: "))]
    steps = [step for step, _, _ in on_progress]
    assert steps == sorted(steps)
    assert on_progress[-1][:2] == (2000, 2000)
    assert {total for _, total, _ in on_progress} == {2000}
    assert any(step == 1000 and message.startswith("verdict") for step, _, message in on_progress)


@pytest.mark.parametrize(
    ("order", "problem"),
    [
        (FitSettings("robust+viper"), "no detector 'viper'"),
        (FitSettings("cobra+robust+certified"), r"no detector 'robust\+certified'"),
        (FitSettings("certified+robust", profile="laptop"), "no profile 'laptop'"),
        (FitSettings("certified+robust", overrides={"schedule.batch": 4}), "begin it with verdict. or map."),
        (FitSettings("certified+robust", overrides={"map": 4}), "begin it with verdict. or map."),
    ],
)
def test_what_cannot_be_paired_is_refused(order: FitSettings, problem: str) -> None:
    with pytest.raises(InvalidConfiguration, match=problem):
        fit(PARTS, order, quiet)
