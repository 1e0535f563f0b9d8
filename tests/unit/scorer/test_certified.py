"""The certified margin: never more than is proven, on the score only where the model has a certified part."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from scorer.scoring import STEPS, certified_margin, certify
from steadyline.contracts.model_event import Calibration
from steadyline.contracts.score import Score
from steadyline.errors import ContractBroken, MalformedMessage, UnscorableFrame
from steadyline.inference import CERTIFIED_ROUNDING, Inferred, ModelRef, Pixels
from steadyline.picture import encode_png
from steadyline.probe import probe
from tests.support.bench_top import BenchTop, a_record
from tests.support.inference import MemoryInference
from tests.support.models import CERTIFIED, Contrast, a_defective_picture, a_plain_picture

# As a graph answers and as a calibration keeps them: float32, and seven digits.
answers = st.floats(-1.5, 1.5, width=32)
thresholds = answers.map(lambda value: float(f"{value:.7g}"))


@given(answers, thresholds, st.integers(0, STEPS), st.floats(-1, 1), st.floats(-1, 1))
@example(0.5 + 3 / STEPS, 0.5, 3, 0.0, -1.0)
@example(0.5 - 3 / STEPS, 0.5, 3, 0.0, 1.0)
def test_no_change_within_the_margin_turns_a_verdict_whatever_float32_rounds(
    score: float, threshold: float, steps: int, rounded: float, again: float
) -> None:
    """The score is off by ``rounded``; that of the frame that moves it all the way is off by ``again``."""
    margin = certified_margin(score, threshold)
    assert 0 <= margin <= STEPS
    if steps > margin or margin == 0:
        return
    way = -1 if score > threshold else 1
    error = Fraction(CERTIFIED_ROUNDING) * (Fraction(rounded) + Fraction(again))
    changed = Fraction(score) + way * Fraction(steps, STEPS) + error
    assert (changed > Fraction(threshold)) == (score > threshold)


@given(answers, thresholds)
def test_the_margin_gives_nothing_away_but_what_float32_may_round(score: float, threshold: float) -> None:
    margin = certified_margin(score, threshold)
    beyond = Fraction(margin + 1, STEPS) + 2 * Fraction(CERTIFIED_ROUNDING)
    assert margin == STEPS or abs(Fraction(score) - Fraction(threshold)) <= beyond


@pytest.mark.parametrize(
    ("score", "verdict", "margin"),
    [
        (0.5, "normal", 0),  # at the threshold
        (0.5 + 1e-9, "anomalous", 0),
        (0.5 + 3 / STEPS, "anomalous", 2),  # three whole steps bring it down to the threshold: normal
        (0.5 + 3.01 / STEPS, "anomalous", 3),
        (0.5 - 3 / STEPS, "normal", 2),  # exactly three: what float32 may round takes the third
        (0.5 - 3.01 / STEPS, "normal", 3),
        (1e300, "anomalous", STEPS),
        (-1e300, "normal", STEPS),
    ],
)
def test_a_part_of_a_step_does_not_count(score: float, verdict: str, margin: int) -> None:
    found = certify(score, CERTIFIED)
    assert (found.verdict, found.margin) == (verdict, margin)


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
def test_a_certified_score_that_is_not_finite_is_refused(score: float) -> None:
    with pytest.raises(UnscorableFrame):
        certify(score, CERTIFIED)


@pytest.mark.parametrize("level", [0, 100, 127, 128, 131, 255])
def test_the_margin_on_a_score_is_that_of_the_frame_and_one_step_more_turns_it(
    top: BenchTop, level: int
) -> None:
    """The certified score of the model is the mean, so that an even change moves it all the way."""
    top.put(1, Contrast(is_certified=True))
    scores = {}
    for number, shown in enumerate((level, *range(256)), 1):
        frame = encode_png(a_plain_picture(40, shown))  # resized to 32
        (message,) = top.handler.submit(a_record(number, frame)).result(10)
        scores[shown] = Score.decode(message.value)
    found = scores[level]
    margin = found.certified_margin
    assert margin is not None
    assert found.verdict == "normal"  # the learned verdict is its own
    turned = [shown for shown in range(256) if scores[shown].certified_verdict != found.certified_verdict]
    assert min(abs(shown - level) for shown in turned) == margin + 1


def test_a_camera_is_certified_by_its_own_threshold(top: BenchTop) -> None:
    top.put(1, Contrast(is_certified=True))
    own = Calibration(scores=[0.1], threshold=0.1, achieved_rate=0.5)
    model = Contrast(is_certified=True).event_model(1)
    calibrations = {**model.certified_calibrations, "c2": own}
    top.slot.put(model.model_copy(update={"certified_calibrations": calibrations}))
    verdicts = []
    for number, camera in enumerate(("c1", "c2"), 1):
        (message,) = top.handler.submit(a_record(number, camera=camera)).result(10)
        verdicts.append(Score.decode(message.value).certified_verdict)
    assert verdicts == ["normal", "anomalous"]


def test_a_model_without_a_certified_part_is_asked_for_none_and_its_scores_say_nothing(top: BenchTop) -> None:
    top.put(1, Contrast())
    (message,) = top.handler.submit(a_record(1)).result(10)
    assert top.inference.asked == [(ModelRef("part", 1, is_certified=False), 1)]
    assert message.value is not None
    assert b"certified" not in message.value
    top.put(2, Contrast(is_certified=True))
    (message,) = top.handler.submit(a_record(2)).result(10)
    assert top.inference.asked[1:] == [(ModelRef("part", 2, is_certified=True), 1)]
    assert b'"certified_verdict":"normal","certified_margin":7' in (message.value or b"")


def test_a_server_that_computes_less_exactly_than_margins_assume_does_not_pass_the_probe() -> None:
    model, inference = Contrast(is_certified=True), MemoryInference()

    def in_16_bits(pictures: Pixels) -> Inferred:
        answer = model.answer(pictures)
        assert answer.certified_scores is not None
        halves = answer.certified_scores.astype(np.float16).astype(np.float32)
        return Inferred(answer.scores, answer.maps, halves)

    inference.serve("part", 1, model.answer)
    probe("part", model.event_model(1), inference)
    inference.serve("part", 1, in_16_bits)
    with pytest.raises(ContractBroken, match="certified score"):
        probe("part", model.event_model(1), inference)
    plain = Contrast().event_model(1)
    unknown = model.event_model(1).model_copy(update={"probes": plain.probes})
    with pytest.raises(ContractBroken, match="known is None"):
        probe("part", unknown, inference)


def test_the_area_of_a_pair_is_measured_where_the_map_is_the_certified_part_s(top: BenchTop) -> None:
    model = Contrast(is_certified=True)
    event = model.event_model(1)

    def area(detector: str, as_map: bool) -> float | None:
        def answered(pictures: Pixels) -> Inferred:
            found = model.answer(pictures)
            certified = found.maps.max(axis=(1, 2)) if as_map else found.certified_scores
            return Inferred(found.scores, found.maps, certified)

        top.inference.serve("part", 1, answered)
        own = Calibration(scores=[0.1], threshold=0.1, achieved_rate=0.5)
        update = {"detector": detector, "certified_calibrations": {"*": own}}
        top.slot.put(event.model_copy(update=update))
        record = a_record(1, encode_png(a_defective_picture(32, cell=5)))
        (message,) = top.handler.submit(record).result(10)
        return Score.decode(message.value).area

    assert area("robust", as_map=False) == 1 / 16
    assert area("robust&certified", as_map=False) == 1 / 16
    assert area("robust+daf&certified", as_map=False) is None
    assert area("robust+certified", as_map=True) == 1 / 16


def test_a_verdict_without_its_margin_is_no_score(top: BenchTop) -> None:
    top.put(1, Contrast())
    (message,) = top.handler.submit(a_record(1)).result(10)
    assert message.value is not None
    with pytest.raises(MalformedMessage, match="come together"):
        Score.decode(message.value[:-1] + b',"certified_margin":3}')
