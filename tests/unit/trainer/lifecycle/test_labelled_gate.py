"""A candidate that loses labelled defects is refused, by one word and with the counts of both models."""

from pathlib import Path

import pytest

from steadyline.line import GateSection
from tests.support.works import Works
from trainer.jobs.spec import LabelledFigures
from trainer.lifecycle.gate import Ruling
from trainer.lifecycle.labelled_gate import with_labels

PASSED = Ruling(True, "passed: clean 0.9", {"candidate_clean_auroc": 0.9})


def judged(found: int, lost: int, live_found: int | None = 10, defects: int = 20) -> LabelledFigures:
    return LabelledFigures(
        defects=defects,
        goods=8,
        candidate_found=found,
        candidate_alarms=1,
        live_found=live_found,
        live_alarms=None if live_found is None else 2,
        lost=[f"c1/7/{number}" for number in range(lost)],
    )


def test_the_labelled_frames_are_counted_in_the_figures_and_told_in_the_reason() -> None:
    ruling = with_labels(PASSED, judged(15, 0), GateSection())
    assert ruling.accepted
    assert ruling.reason == (
        "passed: clean 0.9; labelled defects found 10 → 15 of 20, alarms on labelled goods 2 → 1 of 8"
    )
    assert ruling.figures == {
        "candidate_clean_auroc": 0.9,
        "labelled_defects": 20,
        "labelled_goods": 8,
        "labelled_lost": 0,
        "candidate_labelled_detection_rate": 0.75,
        "candidate_labelled_alarm_rate": 0.125,
        "live_labelled_detection_rate": 0.5,
        "live_labelled_alarm_rate": 0.25,
    }


def test_one_lost_defect_is_too_many_unless_the_line_allows_it_even_when_others_are_found_instead() -> None:
    ruling = with_labels(PASSED, judged(18, 1), GateSection())
    assert not ruling.accepted
    assert ruling.reason.startswith(
        "labelled_lost: 1 of the 10 labelled defects that the live model finds are missed (c1/7/0)"
    )
    assert ruling.figures["labelled_lost"] == 1


@pytest.mark.parametrize(
    ("drop", "found", "most"), [(0.0, 10, 0), (0.1, 10, 1), (0.29, 100, 29), (1.0, 5, 5), (0.3, 0, 0)]
)
def test_the_limit_is_a_share_of_what_the_live_model_finds(drop: float, found: int, most: int) -> None:
    limits = GateSection(labelled_drop=drop)
    assert with_labels(PASSED, judged(0, most, found, 100), limits).accepted
    if most < found:
        assert not with_labels(PASSED, judged(0, most + 1, found, 100), limits).accepted


def test_without_a_live_model_or_without_labels_nothing_is_lost() -> None:
    first = with_labels(PASSED, judged(0, 0, None), GateSection())
    assert first.accepted
    assert "labelled defects found 0 of 20" in first.reason
    assert "live_labelled_detection_rate" not in first.figures
    assert with_labels(PASSED, None, GateSection()) == PASSED


def test_a_refusal_stays_what_it_was_and_only_one_that_a_person_may_lift_gives_way() -> None:
    worse = Ruling(False, "clean_worse: 0.9 → 0.8", {})
    assert with_labels(worse, judged(0, 3), GateSection()).reason.startswith("clean_worse: 0.9 → 0.8; label")
    early = Ruling(False, "daily_limit: 6 versions", {})
    assert with_labels(early, judged(0, 3), GateSection()).reason.startswith("labelled_lost: 3")
    assert with_labels(early, judged(0, 0), GateSection()).reason.startswith("daily_limit: 6 versions; ")


def test_the_model_event_tells_why_a_candidate_was_refused_and_no_order_lifts_it(tmp_path: Path) -> None:
    works = Works(tmp_path)
    works.rollout.decide(works.trained(1, b"0.5"))
    result = works.trained(2, b"0.5").model_copy(update={"labelled": judged(9, 2)})
    works.rollout.decide(result)
    event = works.state.event
    assert event.live_version == 1
    change = event.changes[-1]
    assert (change.version, change.after) == (2, "rejected")
    assert change.reason.startswith("labelled_lost: 2 of the 10")
    assert change.figures["labelled_lost"] == 2
    assert works.command("promote", 2).live_version == 1
