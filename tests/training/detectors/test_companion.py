"""A companion's certified score stands beside a learned verdict and changes nothing of it."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from steadyline.errors import InvalidConfiguration, PackageRejected
from steadyline.inference import CERTIFIED_SCORE
from steadyline.line import GateSection
from tests.support.parts import defective_parts, good_parts
from trainer.data.banks import HeldOutSet
from trainer.detectors.companion.served import WithCompanion
from trainer.detectors.pair.served import PairServed
from trainer.evaluation.subject import floats
from trainer.fit import FitSettings, Trained, fit, rebuild
from trainer.jobs.export import OnnxModel, export
from trainer.jobs.gate_figures import measure

SMALL: dict[str, float | int | str | bool] = {
    "schedule.batch": 4,
    "schedule.attack_steps": 1,
    "shape.width": 8,
}
PARTS = good_parts(12)
PICTURES = np.concatenate([good_parts(4, seed=5), defective_parts(4, seed=6)[0]])
Told = list[tuple[int, int, str]]


def settings(detector: str) -> FitSettings:
    return FitSettings(detector, seed=3, steps=4, overrides=SMALL)


def quiet(step: int, total: int, message: str) -> None:
    pass


@pytest.fixture(scope="module")
def trained() -> tuple[Trained, Told]:
    torch.set_num_threads(1)
    told: Told = []
    return fit(PARTS, settings("robust&certified"), lambda *report: told.append(report))[0], told


@pytest.fixture(scope="module")
def both(trained: tuple[Trained, Told]) -> Trained:
    return trained[0]


def test_each_answers_as_if_it_had_been_trained_alone(both: Trained) -> None:
    alone = fit(PARTS, settings("robust"), quiet)[0].module
    certified = fit(PARTS, FitSettings("certified", seed=3), quiet)[0].module
    x = torch.from_numpy(PICTURES)
    score, anomaly_map, proven = both.module(x)
    assert_close((score, anomaly_map), alone(x))
    assert_close(proven, certified(x)[0])
    assert_close(both.module.score_alone(floats(PICTURES)), score)


def test_gate_and_report_meet_the_learned_detector_alone(both: Trained) -> None:
    module = both.module
    assert isinstance(module, WithCompanion)
    known, gate = HeldOutSet(PICTURES[4:], ("dark",) * 4, PICTURES[:4]), GateSection(steps=1)
    figures = measure(module, known, 0.5, gate, lambda done, of: None)
    assert figures == measure(module.main, known, 0.5, gate, lambda done, of: None)
    assert module.lipschitz is None
    assert module.score_bounds(floats(PICTURES), 2 / 255) is None
    assert module.certified_part is module.companion


def test_one_graph_answers_all_three(both: Trained) -> None:
    run = OnnxModel(export(both.module, PICTURES).model)
    with torch.inference_mode():
        expected = both.module(torch.from_numpy(PICTURES))
    for found, due in zip(run.outputs(PICTURES), expected, strict=True):
        np.testing.assert_allclose(found, due.numpy(), rtol=1e-3, atol=1e-4)


def test_recipe_and_weights_hold_both_and_nothing_else(both: Trained) -> None:
    again = rebuild(both.recipe, both.weights())
    assert_close(again(torch.from_numpy(PICTURES)), both.module(torch.from_numpy(PICTURES)))
    with pytest.raises(PackageRejected, match="two parts are due"):
        rebuild({**both.recipe, "companion": None}, both.weights())


def test_progress_covers_both_and_never_runs_backwards(trained: tuple[Trained, Told]) -> None:
    told = [report for report in trained[1] if report[2].startswith(("main: ", "companion: "))]
    assert all(before[0] <= after[0] for before, after in pairwise(told))
    assert told[-1][:2] == (2000, 2000)


def test_the_certified_part_of_a_pair_is_whichever_is_certified(both: Trained) -> None:
    module = both.module
    assert isinstance(module, WithCompanion)
    learned, proven = module.main, module.companion
    x = floats(PICTURES)
    for pair in (PairServed(learned, proven), PairServed(proven, learned)):
        assert pair.certified_part is proven
        assert_close(pair.outputs(x)[CERTIFIED_SCORE], proven.score_alone(x))
    neither = PairServed(learned, learned)
    assert neither.certified_part is None
    assert len(neither.outputs(x)) == 2


def test_a_number_of_a_detector_that_is_not_the_main_one_is_refused() -> None:
    with pytest.raises(InvalidConfiguration):
        fit(PARTS, FitSettings("robust&certified", overrides={"companion.memory": 4}), quiet)
