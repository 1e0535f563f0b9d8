"""The summary's figures come from scores and events alone."""

from datetime import timedelta

import pytest

from steadyline.contracts.model_event import Change, ModelEvent
from steadyline.demo.figures import latencies, percentile, swap_figures
from tests.support.demo_scores import NOON, a_score


def an_event(*changes: Change) -> ModelEvent:
    return ModelEvent(product="cell", at=NOON, live_version=1, models=[], changes=list(changes))


def test_percentiles_are_nearest_rank() -> None:
    assert percentile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert percentile([], 0.5) is None


def test_latencies_are_from_capture_to_score() -> None:
    assert latencies([a_score(0, 10), a_score(1, 30), a_score(2, 20)]) == {"p50": 20.0, "p99": 30.0}


def test_a_swap_is_felt_only_by_the_frames_around_it() -> None:
    scores = [a_score(second, 500 if second == 60 else 20) for second in range(0, 120)]
    change = Change(
        at=NOON + timedelta(seconds=60), version=2, before="candidate", after="live", reason="better"
    )
    figures = swap_figures(an_event(change), scores, failed_requests=0)
    assert figures["accepted"] is True
    assert figures["to_version"] == 2
    assert figures["p99_ms_during"] == pytest.approx(500)
    assert figures["p99_ms_outside"] == pytest.approx(20)


def test_a_refusal_is_reported_with_its_reason() -> None:
    change = Change(
        at=NOON, version=2, before="candidate", after="rejected", reason="attacked AUROC .41 under .60"
    )
    figures = swap_figures(an_event(change), [a_score(0)], failed_requests=0)
    assert figures["accepted"] is False
    assert figures["reason"] == "attacked AUROC .41 under .60"


def test_no_decision_is_said_and_not_hidden() -> None:
    assert swap_figures(an_event(), [], 0)["accepted"] is False
