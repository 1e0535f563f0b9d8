"""A Gaussian over maps: what it keeps, and how far it reaches."""

import pytest
import torch

from trainer.learning.smoothing import GaussianSmoothing


def test_a_point_is_spread_by_its_sigma_and_nothing_is_lost() -> None:
    point = torch.zeros(1, 41, 41)
    point[0, 20, 20] = 1
    found = GaussianSmoothing(2.0)(point)[0]
    away = torch.arange(41) - 20.0
    assert float(found.sum()) == pytest.approx(1, abs=1e-5)
    assert float((found.sum(1) * away**2).sum()) ** 0.5 == pytest.approx(2, abs=0.1)
    torch.testing.assert_close(found, found.T)


def test_a_map_without_relief_stays_as_it_is_also_where_it_is_smaller_than_the_gaussian() -> None:
    flat = torch.full((2, 3, 5), 7.0)
    torch.testing.assert_close(GaussianSmoothing(4.0)(flat), flat)


def test_a_gaussian_of_no_width_leaves_a_map_as_it_is() -> None:
    maps = torch.rand(1, 6, 6, generator=torch.Generator().manual_seed(0))
    for sigma in (0.0, 1e-50, 0.1):
        torch.testing.assert_close(GaussianSmoothing(sigma)(maps), maps)
