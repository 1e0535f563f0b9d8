"""A threshold follows from its scores, a number is in its bounds; what does not fit is no model event."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from steadyline.contracts.model_event import Calibration, ModelEvent, conformal_rank
from steadyline.errors import MalformedMessage
from tests.support.models import Contrast, model_event


def changed(**update: Any) -> bytes:
    """Return an event whose calibration of the product was changed by hand."""
    event: dict[str, Any] = json.loads(model_event("part", [Contrast().event_model(1)], 1).encode())
    event["models"][0]["calibrations"]["*"] |= update
    return json.dumps(event).encode()


@pytest.mark.parametrize(
    "update",
    [
        {"threshold": 1e308},
        {"threshold": 0.1},
        {"threshold": math.inf},
        {"threshold": math.nan},
        {"threshold": -1e308},
        {"threshold": "Infinity"},
        {"threshold": None},
        {"scores": [2.0, 1.0], "threshold": 1.0},
        {"scores": [1.0, math.inf], "threshold": 1.0, "achieved_rate": 0.5},
        {"scores": [math.nan], "threshold": math.nan},
        {"scores": []},
        {"scores": [0.0] * 2001, "threshold": 0.0},
        {"rate": 0.5},
        {"rate": 0.0},
        {"rate": 1.0},
        {"rate": -1.0},
        {"achieved_rate": 0.0},
        {"achieved_rate": 0.9},
        {"achieved_rate": 2.0},
    ],
)
def test_a_threshold_that_does_not_follow_from_its_scores_is_refused(update: dict[str, Any]) -> None:
    ModelEvent.decode(changed())
    with pytest.raises(MalformedMessage):
        ModelEvent.decode(changed(**update))


def test_a_model_without_a_calibration_of_the_product_is_refused() -> None:
    event: dict[str, Any] = json.loads(changed())
    calibrations = event["models"][0]["calibrations"]
    calibrations["east-1"] = calibrations.pop("*")
    with pytest.raises(MalformedMessage, match="whole product"):
        ModelEvent.decode(json.dumps(event).encode())


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50), st.floats(0.001, 0.999), st.data())
def test_no_threshold_but_one_fits(scores: list[float], rate: float, data: st.DataObject) -> None:
    ordered = sorted(scores)
    due = ordered[conformal_rank(len(ordered), rate) - 1]
    other = data.draw(st.floats(-1e9, 1e9).filter(lambda value: not math.isclose(value, due, rel_tol=1e-5)))
    assert Calibration(scores=ordered, threshold=due, achieved_rate=rate).threshold == due
    with pytest.raises(ValidationError):
        Calibration(scores=ordered, threshold=other, achieved_rate=rate)


NUMBERS = ("version", "size", "threshold_version")


@pytest.mark.parametrize("number", [0, -1, 10**10, 10**400, 1.5, math.inf, "9" * 5000])
@pytest.mark.parametrize(
    "place",
    [*(("models", 0, name) for name in NUMBERS), ("live_version",), ("commands_until",), ("sequence",)],
)
def test_a_number_that_no_trainer_writes_is_refused(place: tuple[str | int, ...], number: Any) -> None:
    event: Any = json.loads(changed())
    inner = event
    for step in place[:-1]:
        inner = inner[step]
    is_allowed = number == 0 and place[-1] in ("commands_until", "sequence")
    is_allowed |= number == 10**10 and place[-1] in ("commands_until", "sequence")
    inner[place[-1]] = number
    if is_allowed:
        ModelEvent.decode(json.dumps(event).encode())
        return
    with pytest.raises(MalformedMessage):
        ModelEvent.decode(json.dumps(event).encode())


@pytest.mark.parametrize("update", [{"tolerance": math.inf}, {"tolerance": 0}, {"score": math.nan}])
def test_a_probe_that_any_answer_passes_is_refused(update: dict[str, float]) -> None:
    event: Any = json.loads(changed())
    event["models"][0]["probes"][0] |= update
    with pytest.raises(MalformedMessage):
        ModelEvent.decode(json.dumps(event).encode())
