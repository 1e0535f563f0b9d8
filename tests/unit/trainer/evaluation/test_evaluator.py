"""The evaluator takes the results that are known already; its map attack and its error rates are right."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from tests.support.parts import defective_parts, good_parts
from tests.support.torch_models import Darkest
from trainer.data.mvtec import TestSet
from trainer.evaluation.attack_plan import IndependentAttacks
from trainer.evaluation.attacks import Pgd
from trainer.evaluation.corruption_figures import error_rates
from trainer.evaluation.evaluator import EvaluationSettings, Evaluator, ModelUnderTest
from trainer.evaluation.localisation import localisation
from trainer.evaluation.map_attack import attack_map, map_gain
from trainer.evaluation.results import Arrays, Results
from trainer.evaluation.sanity import chosen
from trainer.evaluation.subject import AttackTarget, Scores, floats, rounded

COUNT = 8


class RememberedResults:
    """Keeps every result by its name, and counts what was made."""

    def __init__(self) -> None:
        self.made: dict[str, Any] = {}
        self.makings = 0

    def value(self, name: str, make: Callable[[], Any]) -> Any:
        if name not in self.made:
            self.makings += 1
            self.made[name] = make()
        return self.made[name]

    def scores(self, name: str, make: Callable[[], Scores]) -> Scores:
        found: Scores = self.value(name, make)
        return found

    def arrays(self, name: str, make: Callable[[], Arrays]) -> Arrays:
        found: Arrays = self.value(name, make)
        return found


def a_test_set() -> TestSet:
    good, (bad, masks) = good_parts(COUNT, seed=5), defective_parts(COUNT, seed=6)
    return TestSet(
        pictures=np.concatenate([good, bad]),
        kinds=("good",) * COUNT + ("scratch",) * COUNT,
        names=tuple(str(index) for index in range(2 * COUNT)),
        masks=np.concatenate([np.zeros_like(masks), masks]),
        located=np.ones(2 * COUNT, bool),
    )


def figures_of(results: Results, report: list[tuple[int, int]]) -> dict[str, Any]:
    test = a_test_set()
    settings = EvaluationSettings(epsilons=(8 / 255,), attack=IndependentAttacks((3,)), checked=4)
    evaluator = Evaluator(
        ModelUnderTest(Darkest(), threshold=0.5),
        test,
        settings,
        results,
        lambda step, total, message: report.append((step, total)),
    )
    sanity = evaluator.sanity(chosen(test.anomalous, settings.checked))
    attacked = {name: found.auroc for name, found in evaluator.attacked.items()}
    return {
        "clean": evaluator.clean.tolist(),
        "attacked": attacked,
        "noise": evaluator.noise,
        "corruptions": evaluator.corruptions(),
        "pixel": evaluator.localisation(),
        "map": evaluator.attacked_localisation(),
        "checks": [check.as_json() for check in evaluator.checks(attacked, sanity)],
        "ms": evaluator.forward_ms(),
    }


def test_what_is_known_is_not_made_again_and_gives_the_same_figures() -> None:
    results = RememberedResults()
    report: list[tuple[int, int]] = []
    first = figures_of(results, report)
    made = results.makings
    assert figures_of(results, []) == first
    assert results.makings == made
    assert {"clean", "noise", "certified", "corruption dust", "PGD-3 8/255"} <= set(results.made)
    assert sorted(first["corruptions"]["dust"]["2"]) == ["auroc", "false_alarms", "misses"]
    assert [step for step, total in report] == sorted(step for step, total in report)
    assert report[-1][0] == report[-1][1]


def test_the_map_is_pushed_off_the_defect() -> None:
    masks = torch.zeros(1, 8, 8, dtype=torch.bool)
    masks[0, :4] = True
    right = torch.zeros(1, 8, 8)
    right[0, :4] = 1
    assert float(map_gain(right, masks)) == pytest.approx(-1)
    assert float(map_gain(1 - right, masks)) == pytest.approx(1)
    assert float(map_gain(right, torch.zeros_like(masks))) == pytest.approx(0.5)


def test_an_attack_on_the_map_lowers_where_it_points() -> None:
    test = a_test_set()
    assert test.masks is not None
    target = AttackTarget.of(Darkest(), test.pictures, test.anomalous)
    hit = attack_map(target, test.masks, Pgd(8 / 255, 20))
    before, after = (localisation(target.maps(x), test.masks).auroc for x in (target.x, hit))
    assert after < before


def test_alarms_and_misses_are_counted_at_the_threshold() -> None:
    scores = np.array([0.1, 0.6, 0.5, 0.9], np.float32)
    found = error_rates(scores, np.array([False, False, True, True]), 0.5)
    assert found == {"false_alarms": 0.5, "misses": 0.5}


def test_pictures_survive_the_way_to_floats_and_back() -> None:
    every = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    np.testing.assert_array_equal(rounded(floats(every)), every)


def test_each_side_of_an_attack_alone_does_less_than_both() -> None:
    good, bad = good_parts(COUNT, seed=5), defective_parts(COUNT, seed=6)[0]
    target = AttackTarget.of(Darkest(), np.concatenate([good, bad]), np.arange(2 * COUNT) >= COUNT)
    clean = np.r_[np.zeros(COUNT), np.ones(COUNT)].astype(np.float32)
    assert target.by_side(clean, clean).rounded(4) == {"hide": 1.0, "raise": 1.0}
    hidden = target.by_side(clean, np.r_[np.zeros(COUNT), -np.ones(COUNT)].astype(np.float32))
    assert hidden.rounded(4) == {"hide": 0.0, "raise": 1.0}
    raised = target.by_side(clean, np.r_[2 * np.ones(COUNT), np.ones(COUNT)].astype(np.float32))
    assert raised.rounded(4) == {"hide": 1.0, "raise": 0.0}
