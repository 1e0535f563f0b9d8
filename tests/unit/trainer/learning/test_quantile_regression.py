"""Quantile regression finds the line that a share of values stays below."""

import numpy as np
import pytest

from trainer.learning.quantile_regression import slopes_of_quantile


@pytest.mark.parametrize("share", [0.25, 0.5, 0.9])
def test_the_slope_is_that_of_the_share_where_values_spread_with_what_is_known(share: float) -> None:
    rng = np.random.default_rng(0)
    known = rng.uniform(0, 1, (4000, 1))
    values = 3 + known[:, 0] * rng.uniform(0, 4, 4000)
    (slope,) = slopes_of_quantile(known, values, share)
    assert slope == pytest.approx(4 * share, abs=0.2)


def test_each_known_number_has_a_slope_of_its_own_and_outliers_move_none() -> None:
    rng = np.random.default_rng(1)
    known = rng.standard_normal((400, 3))
    values = known @ np.array([2.0, 0.0, -1.0]) + 0.1 * rng.standard_normal(400)
    values[:20] += 1000
    np.testing.assert_allclose(slopes_of_quantile(known, values, 0.5), [2, 0, -1], atol=0.05)


def test_what_is_known_of_no_value_has_no_slope() -> None:
    assert slopes_of_quantile(np.zeros((5, 2)), np.arange(5.0), 0.5).tolist() == [0, 0]
