"""A worse or a weaker candidate is refused with one fixed word and the figures."""

import pytest

from steadyline.line import GateSection
from trainer.lifecycle.gate import GateFigures, rule

LIVE = GateFigures(clean=0.90, attacked=0.70, corrupted=0.85)
LIMITS = GateSection(clean_drop=0.01, robust_drop=0.02, floor_drop=0.05)


def test_a_candidate_within_the_limits_passes_with_both_figures_in_the_reason() -> None:
    ruling = rule(GateFigures(0.895, 0.69, 0.84), LIVE, LIMITS)
    assert ruling.accepted
    assert ruling.reason.startswith("passed: clean 0.900 → 0.895, attacked 0.700 → 0.690")
    assert ruling.figures["candidate_attacked_auroc"] == 0.69
    assert ruling.figures["live_attacked_auroc"] == 0.70


@pytest.mark.parametrize(
    ("candidate", "word"),
    [
        (GateFigures(0.88, 0.70, 0.85), "clean_worse"),
        (GateFigures(0.92, 0.60, 0.85), "robust_worse"),
        (GateFigures(0.92, 0.70, 0.80), "corrupted_worse"),
        (GateFigures(0.55, 0.50, 0.55), "clean_floor"),
        (GateFigures(0.90, 0.95, 0.85), "masked_gradients"),
        (GateFigures(float("nan"), 0.7, 0.85), "not_finite"),
    ],
)
def test_each_fault_has_its_word(candidate: GateFigures, word: str) -> None:
    ruling = rule(candidate, LIVE, LIMITS)
    assert not ruling.accepted
    assert ruling.reason.split(":")[0] == word


def test_the_first_model_passes_on_the_floors_alone() -> None:
    assert rule(GateFigures(0.7, 0.2, 0.6), None, LIMITS).accepted
    assert not rule(GateFigures(0.59, 0.2, 0.6), None, LIMITS).accepted
    assert not rule(GateFigures(0.7, 0.9, 0.6), None, LIMITS).accepted


def test_a_candidate_that_an_attack_brings_under_what_is_proven_without_learning_is_refused() -> None:
    ruling = rule(GateFigures(0.9, 0.60, 0.85), None, LIMITS, floor=0.66)
    assert not ruling.accepted
    assert ruling.reason.startswith(
        "under_certified_floor: attacked AUROC 0.600 is under the certified 0.660"
    )
    assert ruling.figures["certified_floor_auroc"] == 0.66
    within = rule(GateFigures(0.9, 0.62, 0.85), None, LIMITS, floor=0.66)
    assert within.accepted
    assert within.figures["certified_floor_auroc"] == 0.66


def test_a_live_model_under_the_floor_does_not_excuse_a_candidate_under_it() -> None:
    weak = GateFigures(0.9, 0.5, 0.85)
    assert rule(weak, weak, LIMITS, floor=0.6).reason.startswith("under_certified_floor")
    assert rule(weak, weak, LIMITS).accepted


def test_a_figure_that_is_not_finite_stays_out_of_the_event() -> None:
    assert "candidate_clean_auroc" not in rule(GateFigures(float("nan"), 0.5, 0.5), None, LIMITS).figures
