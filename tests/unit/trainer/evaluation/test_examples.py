"""The pictures of a report: which are chosen, what is drawn on them, and that the page carries them."""

import io
import os
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from steadyline.contracts.model_event import Calibration
from tests.support.parts import defective_parts, good_parts
from tests.support.torch_models import Darkest
from trainer.data.mvtec import TestSet
from trainer.evaluation.attack_plan import IndependentAttacks
from trainer.evaluation.evaluate import evaluate
from trainer.evaluation.evaluator import EvaluationSettings
from trainer.evaluation.examples import SHOWN, Judging, ShownPicture, examples, outlined
from trainer.evaluation.report import report

GOOD, BAD = 6, 9


def a_test_set() -> TestSet:
    good, (bad, masks) = good_parts(GOOD, seed=5), defective_parts(BAD, seed=6)
    return TestSet(
        pictures=np.concatenate([good, bad]),
        kinds=("good",) * GOOD + ("scratch",) * BAD,
        names=tuple(f"{index}.png" for index in range(GOOD + BAD)),
        masks=np.concatenate([np.zeros((GOOD, *masks.shape[1:]), bool), masks]),
        located=np.ones(GOOD + BAD, bool),
    )


def scored(test: TestSet) -> NDArray[np.float32]:
    with torch.inference_mode():
        found: NDArray[np.float32] = Darkest()(torch.from_numpy(test.pictures))[0].numpy()
    return found


def at(threshold: float) -> Judging:
    ladder = [threshold - 0.1, threshold - 0.05, threshold]
    return Judging(Calibration(scores=ladder, threshold=threshold, achieved_rate=0.25))


def pixels(png: bytes) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(png)) as picture:
        assert picture.format == "PNG"
        return np.asarray(picture)


def is_coloured(picture: NDArray[np.uint8]) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = picture.max(axis=2) > picture.min(axis=2)
    return found


def numbers(shown: list[ShownPicture]) -> list[int]:
    return [int(Path(one.name).stem) for one in shown]


def test_the_highest_defects_the_lowest_of_the_missed_and_the_highest_false_alarms_are_shown() -> None:
    test = a_test_set()
    scores = scored(test)
    threshold = float(np.median(scores[GOOD:]))
    found, missed, alarms = (
        (title, list(shown)) for title, shown in examples(Darkest(), test, scores, at(threshold)).items()
    )
    assert found[0] == "Defects found, the highest scores: 4 of 9"
    assert missed[0] == "Missed defects, the lowest scores: 5 of 9"
    assert alarms == (f"False alarms, the highest scores: 0 of {GOOD} good pictures", [])
    order = (GOOD + np.argsort(-scores[GOOD:], kind="stable")).tolist()
    assert numbers(found[1]) == order[:4]
    assert numbers(missed[1]) == order[::-1][:SHOWN]
    assert all(one.calibrated > 0.5 for one in found[1])
    assert all(one.calibrated <= 0.5 for one in missed[1])
    assert {one.kind for one in [*found[1], *missed[1]]} == {"scratch"}


def test_at_a_low_threshold_good_pictures_are_the_false_alarms() -> None:
    test = a_test_set()
    shown = list(examples(Darkest(), test, scored(test), at(0.0)).values())
    assert [one.kind for one in shown[2]] == ["good"] * SHOWN
    assert shown[1] == []


def test_a_found_defect_glows_where_it_is_and_its_truth_is_outlined() -> None:
    test = a_test_set()
    shown = next(iter(examples(Darkest(), test, scored(test), at(0.6)).values()))[0]
    place = int(Path(shown.name).stem)
    assert test.masks is not None
    drawn, glowing = pixels(shown.picture_png), pixels(shown.map_png)
    times = len(drawn) // len(test.masks[place])
    inside = test.masks[place].repeat(times, 0).repeat(times, 1)
    is_outline, glows = is_coloured(drawn), is_coloured(glowing)
    assert is_outline.any()
    assert not is_outline[~inside].any()
    assert glows[inside].mean() > 2 * glows[~inside].mean()


def test_an_outline_is_the_edge_of_the_mask_alone() -> None:
    mask = np.zeros((6, 7), bool)
    mask[1:5, 2:6] = True
    drawn = is_coloured(outlined(np.zeros((6, 7, 3), np.uint8), mask))
    assert drawn.sum() == 12
    assert not drawn[2:4, 3:5].any()


@pytest.mark.parametrize("is_pair", [False, True])
def test_the_page_carries_its_pictures_and_needs_nothing_else(is_pair: bool) -> None:
    strange = os.fsdecode(b"caf\xe9.png")  # a name on disk that is no UTF-8
    test = replace(a_test_set(), masks=None, names=(strange,) * (GOOD + BAD))
    quick = EvaluationSettings(attack=IndependentAttacks((1,)), checked=0)
    found = evaluate(Darkest(), test, quick, lambda step, total, message: None)
    judging = replace(at(0.0), is_pair=is_pair)
    page = report(replace(found, examples=examples(Darkest(), test, found.clean, judging)), "plates", {})
    assert page.count('src="data:image/png;base64,') == 2 * 2 * SHOWN
    assert not re.search(r'(?:src|href)="(?!#|data:image/png;base64,)', page)
    assert "False alarms, the highest scores: 6 of 6 good pictures" in page
    assert rb"caf\xe9.png" in page.encode()
