"""The answer on a whole picture: the mean of the highest cells, in units of the place where that helps."""

import pytest
import torch
from torch.testing import assert_close

from trainer.crops.serve import DenseAnswer, DenseScore, dense_answer, r_squared


def maps(of_place: float, count: int = 40) -> torch.Tensor:
    """Return maps (N, 8, 12) that rise from place to place, and smooth noise of the normals."""
    random = torch.Generator().manual_seed(0)
    place = torch.arange(8.0)[:, None] + torch.arange(12.0)
    noise = torch.randn((count, 8, 12), generator=random).cumsum(1).cumsum(2)
    return of_place * place + noise


def test_the_score_is_the_mean_of_the_four_highest_cells() -> None:
    cells = torch.arange(24.0).reshape(1, 4, 6)
    score, served = DenseAnswer(DenseScore(4))(cells)
    assert_close(score, torch.tensor([(23 + 22 + 21 + 20) / 4]))
    assert served is cells


def test_fewer_cells_than_four_are_all_counted() -> None:
    assert_close(DenseAnswer(DenseScore(4))(torch.tensor([[[1.0, 3.0]]]))[0], torch.tensor([2.0]))


def test_a_place_that_explains_nothing_gives_no_units() -> None:
    found, explained = dense_answer(maps(0), 4)
    assert explained < 0.3
    assert found.of == DenseScore(4)
    assert not found.state_dict()


def test_where_the_place_explains_the_maps_each_cell_is_measured_from_its_mean() -> None:
    of = maps(20)
    found, explained = dense_answer(of, 4)
    assert explained > 0.9
    assert found.of == DenseScore(4, (8, 12))
    inner = found(of)[1][:, 1:-1, 1:-1]  # a mean over 3 x 3 cells keeps a slope, except at the border
    assert_close(inner.mean(0), torch.zeros(6, 10), atol=0.3, rtol=0)
    spike = of[:1].clone()
    spike[0, 3, 3] += 30
    assert float(found(spike)[0]) > float(found(of[:1])[0]) + 1


def test_maps_that_never_vary_are_not_divided_by_nothing() -> None:
    assert r_squared(torch.ones(10, 4, 4)) == 0
    still = torch.arange(16.0).reshape(1, 4, 4).expand(10, 4, 4)
    score, served = dense_answer(still, 4)[0](still)
    assert torch.isfinite(served).all()
    assert torch.isfinite(score).all()


def test_a_recipe_brings_the_numbers_back() -> None:
    for of in (DenseScore(4), DenseScore(3, (8, 12))):
        assert DenseScore.of_recipe(of.as_recipe()) == of
    assert DenseScore.of_recipe(None) is None
    with pytest.raises(KeyError):
        DenseScore.of_recipe({"top": 4})
