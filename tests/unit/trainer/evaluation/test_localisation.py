"""Localisation figures agree with cases counted by hand, and with a curve drawn threshold by threshold."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

from trainer.arrays import Masks
from trainer.evaluation.localisation import aupro, average_precision, components, localisation

Maps = NDArray[np.float32]


def one(rows: list[list[float]]) -> Maps:
    return np.array([rows], np.float32)


def drawn(rows: list[str]) -> Masks:
    return np.array([[place == "#" for place in row] for row in rows])


def curve(maps: Maps, masks: Masks, limit: float) -> float:
    """AUPRO as it is defined: one point a threshold, trapezoids between them."""
    labels = [components(mask) for mask in masks]
    points = [(0.0, 0.0)]
    for threshold in np.unique(maps)[::-1]:
        over = [
            float(np.mean(anomaly_map[own == region] >= threshold))
            for anomaly_map, own in zip(maps, labels, strict=True)
            for region in range(1, own.max() + 1)
        ]
        points.append((float(np.mean(maps[~masks] >= threshold)), float(np.mean(over))))
    x, y = (np.array(values) for values in zip(*points, strict=True))
    at_limit = float(np.interp(limit, x, y))
    x, y = np.append(x[x < limit], limit), np.append(y[x < limit], at_limit)
    return float(np.trapezoid(y, x)) / limit


def test_components_join_at_corners_and_around_bends() -> None:
    mask = drawn(["##..#.", "...#..", "#.#..#", "#...##", "######"])
    found = components(mask)
    assert found[0, 0] == found[0, 1] == 1
    assert found[0, 4] == found[1, 3] == found[2, 2]
    assert found[2, 0] == found[4, 3] == found[2, 5]
    assert found.max() == 3
    np.testing.assert_array_equal(found > 0, mask)


def test_an_empty_mask_has_no_component() -> None:
    assert components(np.zeros((3, 4), bool)).max() == 0


def test_a_perfect_map_has_all_figures_at_one_and_a_reversed_one_has_no_overlap() -> None:
    mask = drawn(["#...", "....", "..##"])[None]
    found = localisation(mask.astype(np.float32), mask)
    assert found.rounded() == {"auroc": 1.0, "aupro": 1.0, "ap": 1.0}
    assert localisation(-mask.astype(np.float32), mask).auroc == 0.0
    assert aupro(-mask.astype(np.float32), mask) == 0.0


def test_average_precision_is_what_one_counts() -> None:
    # in order of height: hit (1/1), miss, hit (2/3), miss, miss, hit (3/6)
    anomaly_map, mask = one([[6, 5, 4, 3, 2, 1]]), drawn(["#.#..#"])[None]
    assert average_precision(anomaly_map, mask) == pytest.approx((1 + 2 / 3 + 1 / 2) / 3)


@given(st.lists(st.tuples(st.integers(-5, 5), st.booleans()), min_size=2, max_size=60))
def test_average_precision_is_what_scikit_learn_says_ties_included(rows: list[tuple[int, bool]]) -> None:
    heights, truth = [float(row[0]) for row in rows], [row[1] for row in rows]
    if len(set(truth)) == 2:
        wanted = average_precision_score(truth, heights)
        assert average_precision(one([heights]), np.array([[truth]])) == pytest.approx(wanted)


def test_ties_count_together() -> None:
    # the three highest are one step: two hits of three, twice; then 3 of 4
    anomaly_map, mask = one([[2, 2, 2, 1, 0]]), drawn(["##.#."])[None]
    assert average_precision(anomaly_map, mask) == pytest.approx((2 / 3 + 2 / 3 + 3 / 4) / 3)


def test_a_small_region_weighs_as_much_as_a_large_one() -> None:
    # the large one is found at no false positive, the small one after all ten normal pixels
    mask = np.zeros((1, 2, 8), bool)
    mask[0, 0, :5], mask[0, 1, 7] = True, True
    anomaly_map = np.where(mask, 2.0, 1.0).astype(np.float32)
    anomaly_map[0, 1, 7] = 0
    assert aupro(anomaly_map, mask) == pytest.approx(0.5)


def test_a_region_found_on_the_way_counts_for_the_rest_of_the_curve() -> None:
    # found after one of ten normal pixels: of the curve to .3 the last .2 count
    anomaly_map = one([[12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2]])
    mask = drawn([".#........."])[None]
    assert aupro(anomaly_map, mask) == pytest.approx(2 / 3)


@pytest.mark.parametrize("levels", [4, 30, 1000])
def test_the_area_is_that_of_the_curve_drawn_by_thresholds(levels: int) -> None:
    rng = np.random.default_rng(levels)
    masks = rng.random((3, 12, 12)) < 0.15
    maps = np.rint(levels * (rng.random((3, 12, 12)) + 0.4 * masks)).astype(np.float32)
    for limit in (0.05, 0.3, 1.0):
        assert aupro(maps, masks, limit) == pytest.approx(curve(maps, masks, limit), abs=1e-6)


def test_the_auroc_is_of_the_pixels_of_all_pictures_together() -> None:
    # defects 9 and 4, normals 5, 4, 1 and 1: four pairs are won, then two and a tie, of eight
    maps = np.array([[[9, 5]], [[4, 4]], [[1, 1]]], np.float32)
    masks = np.array([[[1, 0]], [[1, 0]], [[0, 0]]], bool)
    assert localisation(maps, masks).auroc == pytest.approx((4 + 0.5 + 2) / 8)


def test_what_cannot_be_measured_is_said() -> None:
    mask = drawn(["#."])[None]
    with pytest.raises(ValueError, match="0 normal pixels"):
        localisation(one([[1, 2]]), np.ones((1, 1, 2), bool))
    with pytest.raises(ValueError, match="NaN"):
        localisation(one([[1, np.nan]]), mask)
    with pytest.raises(ValueError, match="alike"):
        localisation(one([[1, 2, 3]]), mask)
