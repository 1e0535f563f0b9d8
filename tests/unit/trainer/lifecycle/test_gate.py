"""A worse or a weaker candidate is refused with one fixed word and the figures."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from steadyline.contracts.model_event import Change, ModelState
from steadyline.line import GateSection
from tests.support.model_history import a_history
from trainer.lifecycle.gate import NAMES, GateFigures, GateHistory, best_figures, rule
from trainer.lifecycle.transitions import MOST_CHANGES, note

LIVE = GateFigures(clean=0.90, attacked=0.70, corrupted=0.85, detection=0.6)
NOT_FINITE = (float("nan"), float("inf"), float("-inf"))
LIMITS = GateSection(clean_drop=0.01, robust_drop=0.02, floor_drop=0.05)


def test_a_candidate_within_the_limits_passes_with_both_figures_in_the_reason() -> None:
    ruling = rule(GateFigures(0.895, 0.69, 0.84, 0.6), LIVE, LIMITS)
    assert ruling.accepted
    assert ruling.reason.startswith("passed: clean 0.900 → 0.895, attacked 0.700 → 0.690")
    assert ruling.figures["candidate_attacked_auroc"] == 0.69
    assert ruling.figures["live_attacked_auroc"] == 0.70


def test_a_person_who_knows_better_accepts_a_model_that_sees_nothing_that_was_drawn() -> None:
    blind = replace(LIVE, blind="50% of 288 pseudo-anomalies score above their own normals")
    assert rule(blind, None, GateSection()).reason.startswith("sees_nothing: 50% of 288")
    for live in (None, LIVE):
        ruling = rule(blind, live, GateSection(accept_blind=True))
        assert ruling.accepted
        assert ruling.reason.endswith("; accepted though it sees next to nothing: " + str(blind.blind))
    learned_nothing = replace(blind, clean=0.55, attacked=0.5)
    assert rule(learned_nothing, None, GateSection(accept_blind=True)).reason.startswith("clean_floor")


@pytest.mark.parametrize(
    ("candidate", "word"),
    [
        (GateFigures(0.88, 0.70, 0.85, 0.6), "clean_worse"),
        (GateFigures(0.92, 0.60, 0.85, 0.6), "robust_worse"),
        (GateFigures(0.92, 0.70, 0.80, 0.6), "corrupted_worse"),
        (GateFigures(0.55, 0.50, 0.55, 0.6), "clean_floor"),
        (GateFigures(0.90, 0.95, 0.85, 0.6), "masked_gradients"),
        (GateFigures(0.90, 0.70, 0.85, 0.49), "detection_worse"),
        (GateFigures(0.90, 0.70, 0.85, 0.0), "blind_at_threshold"),
        (replace(LIVE, blind="its AUROC on 60 pseudo-anomalies is 0.51"), "sees_nothing"),
        *[
            (replace(LIVE, **cast("dict[str, Any]", {name: value})), "not_finite")
            for name in NAMES
            for value in NOT_FINITE
        ],
    ],
)
def test_each_fault_has_its_word(candidate: GateFigures, word: str) -> None:
    ruling = rule(candidate, LIVE, LIMITS)
    assert not ruling.accepted
    assert ruling.reason.split(":")[0] == word


def test_the_first_model_passes_on_the_floors_alone() -> None:
    assert rule(GateFigures(0.7, 0.2, 0.6, 0.6), None, LIMITS).accepted
    assert not rule(GateFigures(0.59, 0.2, 0.6, 0.6), None, LIMITS).accepted
    assert not rule(GateFigures(0.7, 0.9, 0.6, 0.6), None, LIMITS).accepted


def test_a_candidate_that_an_attack_brings_under_what_is_proven_without_learning_is_refused() -> None:
    ruling = rule(GateFigures(0.9, 0.60, 0.85, 0.6), None, LIMITS, floor=0.66)
    assert not ruling.accepted
    assert ruling.reason.startswith(
        "under_certified_floor: attacked AUROC 0.600 is under the certified 0.660"
    )
    assert ruling.figures["certified_floor_auroc"] == 0.66
    within = rule(GateFigures(0.9, 0.62, 0.85, 0.6), None, LIMITS, floor=0.66)
    assert within.accepted
    assert within.figures["certified_floor_auroc"] == 0.66


def test_a_live_model_under_the_floor_does_not_excuse_a_candidate_under_it() -> None:
    weak = GateFigures(0.9, 0.5, 0.85, 0.6)
    assert rule(weak, weak, LIMITS, floor=0.6).reason.startswith("under_certified_floor")
    assert rule(weak, weak, LIMITS).accepted


def test_a_figure_that_is_not_finite_stays_out_of_the_event() -> None:
    assert "candidate_clean_auroc" not in rule(GateFigures(float("nan"), 0.5, 0.5, 0.6), None, LIMITS).figures


NOW = datetime(2026, 3, 1, tzinfo=UTC)


def a_change(figures: dict[str, float], hours_ago: float, after: ModelState = "live") -> Change:
    at = NOW - timedelta(hours=hours_ago)
    return Change(at=at, version=1, before="candidate", after=after, reason="passed", figures=figures)


def test_a_candidate_whose_threshold_is_above_everything_is_refused_even_beside_a_live_one_like_it() -> None:
    blind = replace(LIVE, detection=0.0)
    for live in (None, LIVE, blind):
        assert rule(blind, live, GateSection(detection_drop=1)).reason.startswith("blind_at_threshold")


@pytest.mark.parametrize("field", list(LIVE.numbers))
def test_a_figure_far_under_its_best_is_refused_however_bad_the_live_model_has_become(field: str) -> None:
    limits = GateSection(total_drop=0.05, detection_drop=0.02)
    allowed = 0.07 if field == "detection" else 0.05
    best = {NAMES[field]: getattr(LIVE, field)}
    for lost, accepted in ((allowed - 0.001, True), (allowed + 0.001, False)):
        candidate = replace(LIVE, **{field: getattr(LIVE, field) - lost})
        ruling = rule(candidate, candidate, limits, None, GateHistory(best, 0))
        assert ruling.accepted is accepted, ruling.reason
        assert accepted or ruling.reason.startswith(f"drifted: {NAMES[field]}")


def test_the_best_of_each_figure_is_kept_and_only_rises() -> None:
    event = a_history(1)
    first = best_figures(event, rule(LIVE, None, LIMITS).figures)
    assert first == {NAMES[field]: value for field, value in LIVE.numbers.items()}
    after = event.model_copy(update={"best": first})
    other = rule(replace(LIVE, clean=0.95, detection=0.55), LIVE, LIMITS).figures
    assert best_figures(after, other) == {**first, "clean_auroc": 0.95}
    assert best_figures(after, {}) == first


def test_only_what_the_gate_let_through_within_a_day_counts_against_the_limit() -> None:
    decided = {"candidate_clean_auroc": 0.9}
    changes = [
        a_change(decided, 25),
        a_change(decided, 23),
        a_change(decided, 1, "rejected"),
        a_change({}, 1),
        a_change(decided, 0.5),
    ]
    old = a_history(1).models[0].model_copy(update={"trained_at": NOW - timedelta(days=2)})
    history = GateHistory.of(a_history(1).model_copy(update={"changes": changes, "models": [old]}), NOW)
    assert history.within_a_day == 2
    assert rule(LIVE, LIVE, GateSection(per_day=3), None, history).accepted
    assert rule(LIVE, LIVE, GateSection(per_day=2), None, history).reason.startswith(
        "daily_limit: 2 versions"
    )


def test_orders_that_push_the_changes_out_of_the_event_give_no_more_versions_a_day() -> None:
    event = a_history(1, 2, 3)
    for number in range(MOST_CHANGES):
        event = note(event, 3, f"refused: order {number}", NOW)
    assert GateHistory.of(event, NOW + timedelta(hours=1)).within_a_day == 3
    assert GateHistory.of(event, NOW + timedelta(days=2)).within_a_day == 0


HALVES = GateFigures(0.91, 0.1, 0.85, 0.6, hidden=0.75, raised=0.12, by_hiding=True)


def test_a_model_of_halves_is_judged_by_what_hiding_a_defect_takes() -> None:
    assert rule(HALVES, LIVE, LIMITS, floor=0.66).accepted
    found = rule(replace(HALVES, hidden=0.6), LIVE, LIMITS)
    assert found.reason == "robust_worse: 0.700 → 0.600, at most 0.02 may be lost"
    assert (found.figures["candidate_hide_auroc"], found.figures["candidate_raise_auroc"]) == (0.6, 0.12)
    under = rule(replace(HALVES, hidden=0.2), None, LIMITS, floor=0.66)
    assert under.reason.startswith("under_certified_floor: attacked AUROC 0.200")


def test_the_sides_of_any_other_model_are_told_and_not_judged() -> None:
    figures = rule(replace(LIVE, hidden=0.1, raised=0.1), LIVE, LIMITS)
    assert figures.accepted
    assert figures.figures["candidate_hide_auroc"] == 0.1
    assert "live_hide_auroc" not in figures.figures


def test_the_hiding_side_of_a_model_of_halves_may_not_drift() -> None:
    known = GateHistory({"attacked_auroc": 0.8, "hide_auroc": 0.9}, 0)
    assert rule(HALVES, None, LIMITS, history=known).reason.startswith("drifted: hide_auroc")
    known = GateHistory({"attacked_auroc": 0.8, "hide_auroc": 0.76}, 0)
    assert rule(HALVES, None, LIMITS, history=known).accepted
