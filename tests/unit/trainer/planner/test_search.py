"""Which candidates are worth a training, by what frozen features have seen at each grid."""

from steadyline.grid import Grid
from tests.support.candidates import a_measured_candidate as measured
from trainer.planner.search import is_needless, preferred_grids

SMALL, MIDDLE, LARGE, HUGE = (Grid.square(side) for side in (64, 128, 256, 512))


def test_a_detector_that_must_be_trained_is_tried_where_frozen_features_see_best() -> None:
    found = [
        measured("patch", SMALL, auroc=0.55, ms=3),
        measured("patch", MIDDLE, auroc=0.70, ms=9),
        measured("patch", LARGE, auroc=0.71, ms=30),
        measured("patch", HUGE, auroc=0.90, ms=120),
    ]
    assert preferred_grids("either", found, budget_ms=50) == [LARGE, MIDDLE, SMALL]
    assert preferred_grids("either", found, budget_ms=200) == [HUGE, LARGE, MIDDLE, SMALL]


def test_of_equals_the_finest_is_taken_by_pseudo_anomalies_and_the_cheapest_by_known_defects() -> None:
    for real, first in ((None, LARGE), (0.9, SMALL)):
        found = [measured("patch", grid, ms=grid.height, real=real) for grid in (SMALL, LARGE)]
        assert preferred_grids("either", found, budget_ms=500)[0] == first


def test_without_frozen_features_within_the_budget_nothing_says_which_grids_are_worth_it() -> None:
    found = [measured("patch", SMALL, ms=80), measured("robust", SMALL, ms=3)]
    assert preferred_grids("either", found, budget_ms=50) == []
    assert preferred_grids("patch", found, budget_ms=100) == []


def test_one_half_alone_is_needless_where_both_are_taken_whatever_it_has() -> None:
    both = measured("either", ms=40)
    assert is_needless("robust", [both], budget_ms=50, are_defects_known=False)
    assert not is_needless("robust", [both], budget_ms=50, are_defects_known=True)
    assert not is_needless("robust", [both], budget_ms=30, are_defects_known=False)
    assert not is_needless("certified", [both], budget_ms=50, are_defects_known=False)
    assert not is_needless("robust", [measured("either", raised=0.5)], budget_ms=50, are_defects_known=False)
