"""What the figures of all candidates say."""

from dataclasses import replace

from steadyline.grid import Grid
from tests.support.candidates import a_measured_candidate as measured
from trainer.planner.conclude import Situation, conclude
from trainer.planner.measured import Measured
from trainer.sight import LEAST_AUROC

SMALL, LARGE = Grid.square(64), Grid.square(256)


def _situation(
    budget: float = 50.0, defects: int = 0, left: dict[Grid, float] | None = None, bound: float = 0.01
) -> Situation:
    seen = {SMALL: 0.1, LARGE: 0.2} if left is None else left
    return Situation(budget, 0.01, bound, round(1 / bound) - 1, 8, seen, defects)


def _notes(found: list[Measured], situation: Situation) -> str:
    return " | ".join(conclude(found, situation).notes)


def test_without_labels_both_halves_are_taken_however_the_pseudo_anomalies_rank_them() -> None:
    found = [measured("patch", auroc=0.99), measured("robust", auroc=0.9), measured("either", auroc=0.7)]
    conclusion = conclude(found, _situation())
    assert conclusion.taken is found[2]
    assert "without labels nobody can tell which one sees" in " ".join(conclusion.notes)
    assert not conclusion.is_blind


def test_where_both_halves_cost_too_much_one_is_taken_and_it_is_said() -> None:
    found = [measured("patch", ms=20), measured("robust", ms=20), measured("either", ms=60)]
    conclusion = conclude(found, _situation(budget=30))
    assert conclusion.taken is found[0]
    assert "both halves together are not within the budget" in " ".join(conclusion.notes)


def test_known_defects_rank_and_of_equals_the_one_with_both_halves_is_taken() -> None:
    found = [
        measured("patch", auroc=0.7, real=0.99),
        measured("either", auroc=0.9, real=0.98),
        measured("robust", auroc=0.95, real=0.8),
    ]
    assert conclude(found, _situation(defects=5)).taken is found[1]
    assert conclude([found[0], found[2]], _situation(defects=5)).taken is found[0]


def test_without_labels_the_coarser_of_two_grids_is_taken_only_where_it_sees_more() -> None:
    found = [measured("robust", SMALL, ms=4, auroc=0.81), measured("robust", LARGE, ms=9, auroc=0.8)]
    assert conclude(found, _situation()).taken is found[1]
    better = measured("robust", SMALL, ms=4, auroc=0.9)
    assert conclude([better, found[1]], _situation()).taken is better


def test_a_blind_model_is_named_and_taken_only_where_no_other_sees() -> None:
    found = [measured("robust", raised=0.55)]
    conclusion = conclude(found, _situation())
    assert conclusion.taken is found[0]
    assert conclusion.is_blind
    assert "none should go live" in conclusion.sentence
    assert conclude([measured("either", raised=0.55), sees := measured()], _situation()).taken is sees
    assert "robust 64x64 sees next to nothing and must not go live" in " ".join(conclusion.notes)
    assert conclude([measured("robust", real=LEAST_AUROC - 0.01)], _situation(defects=5)).is_blind
    assert conclude([measured("robust", real=0.9, found=0.0)], _situation(defects=5)).is_blind
    assert not conclude([measured("robust", auroc=0.52, found=0.0)], _situation()).is_blind


def test_nothing_that_fits_is_said_with_the_least_that_would() -> None:
    assert "the cheapest candidate takes 8.0 ms" in conclude([measured(ms=8)], _situation(budget=5)).sentence
    assert "No candidate was measured" in conclude([], _situation()).sentence


def test_a_defect_that_is_averaged_away_is_said_with_the_budget_that_shows_it() -> None:
    left = {SMALL: 0.001, LARGE: 0.1}
    notes = _notes([measured("patch", SMALL, ms=10)], _situation(left=left))
    assert "a defect of 8 pixels is averaged away at every grid within 50 ms" in notes
    assert "256x256 shows it, in some 160 ms" in notes
    assert "averaged away below 256x256" in _notes([measured("patch", LARGE, ms=10)], _situation(left=left))
    assert "at every grid up to the camera's own" in _notes([measured()], _situation(left={SMALL: 0.0}))
    assert "resolution is not the problem" in _notes([measured()], _situation())


def test_few_normals_are_said_with_how_many_are_needed() -> None:
    assert "99 are needed for the wanted 1.0%" in _notes([measured()], _situation(bound=1 / 11))
    assert "are needed" not in _notes([measured()], _situation(bound=0.02))


def test_a_half_that_is_taken_because_the_time_was_spent_is_not_blamed_on_the_budget() -> None:
    found = [measured("patch"), measured("robust")]
    conclusion = conclude(found, replace(_situation(), untried=("either 64x64",)))
    told = " ".join(conclusion.notes)
    assert "the time was spent before either 64x64: start the same command again" in told
    assert "not within the budget" not in told
