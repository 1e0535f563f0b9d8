"""Which grids are tried, and what each leaves of a defect."""

import numpy as np

from steadyline.grid import Grid
from trainer.arrays import Pictures
from trainer.planner.grids import grids_of, is_settled, is_too_dear, left_of, predicted_ms, visible_from
from trainer.pseudo.native import native_defects


def _frames(count: int) -> list[Pictures]:
    rng = np.random.default_rng(0)
    return [rng.integers(60, 180, (400, 400, 1)).astype(np.uint8) for _ in range(count)]


def test_grids_keep_the_proportions_and_end_at_the_frames_own() -> None:
    found = grids_of([(500, 1250)] * 3)
    assert all(grid.distortion(500, 1250) < 1.2 for grid in found)
    assert [grid.pixels for grid in found] == sorted(grid.pixels for grid in found)
    assert found[-1].pixels <= 500 * 1250
    assert len(grids_of([(40, 40)])) == 1


def test_a_small_defect_is_averaged_away_by_a_small_grid_and_not_by_the_frames_own() -> None:
    defects = native_defects(_frames(6), 4, seed=0)
    left = {grid: left_of(defects, _frames(6), grid, "gray") for grid in (Grid.square(32), Grid.square(400))}
    assert left[Grid.square(32)] < 0.3 * left[Grid.square(400)]


def test_the_smallest_grid_that_leaves_enough_is_the_one_that_shows_it() -> None:
    small, large = Grid.square(64), Grid.square(256)
    assert visible_from({small: 0.001, large: 0.1}) == large
    assert visible_from({small: 0.001, large: 0.001}) is None


def test_a_larger_grid_is_ruled_out_by_what_a_smaller_one_cost() -> None:
    small, large = Grid.square(64), Grid.square(256)
    assert predicted_ms({small: 2.0}, large) == 32
    assert predicted_ms({}, large) is None
    assert is_too_dear({small: 2.0}, large, 20)
    assert is_too_dear({small: 60.0}, large, 50)
    assert not is_too_dear({small: 2.0}, large, 30)
    assert not is_too_dear({}, large, 1)


def test_the_search_ends_when_two_larger_grids_bring_nothing() -> None:
    assert is_settled([0.8, 0.8, 0.805])
    assert not is_settled([0.8, 0.8, 0.82])
    assert not is_settled([0.8, 0.79])
