"""The contrastive loss is the paper's, and its mean form has no spurious negatives."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from trainer.detectors.cobra.loss import contrastive_loss, opposite_pairs, same_anchor
from trainer.detectors.cobra.profile import SWITCHES, Switch

TEMPERATURE = 0.5


def some_views(views: int = 3, anchors: int = 8) -> Tensor:
    random = torch.Generator().manual_seed(0)
    return torch.randn(views, anchors, 6, generator=random, dtype=torch.float64)


def by_hand(views: Tensor, clean: int) -> Tensor:
    """L_COBRA pair by pair: sum of l over positives, each anchor's averaged, minus l over opposites."""
    anchors = views.shape[1]
    rows = functional.normalize(views, dim=-1).flatten(0, 1)
    similarity = rows @ rows.T / TEMPERATURE
    total = torch.zeros((), dtype=torch.float64)
    for i in range(clean * anchors):
        others = [k for k in range(len(rows)) if k != i]
        spread = torch.logsumexp(similarity[i, others], 0)
        positives = [k for k in others if k % anchors == i % anchors]
        opposite = (i // anchors) * anchors + (i % anchors + anchors // 2) % anchors
        total += sum((spread - similarity[i, k]) / len(positives) for k in positives)
        total -= spread - similarity[i, opposite]
    return total / (clean * anchors)


@pytest.mark.parametrize("clean", [1, 2])
def test_the_mean_form_is_the_formula_with_its_logarithms_cancelled(clean: int) -> None:
    views = some_views()
    torch.testing.assert_close(contrastive_loss(views, clean, TEMPERATURE, "mean"), by_hand(views, clean))


def test_in_the_mean_form_other_pictures_have_no_gradient() -> None:
    views = some_views(views=2, anchors=4).requires_grad_(True)
    rows = functional.normalize(views, dim=-1)
    one = contrastive_loss(rows[:, [0, 2]], 1, TEMPERATURE, "mean")  # the pair 0 and its opposite alone
    (alone,) = torch.autograd.grad(one, views)
    (together,) = torch.autograd.grad(contrastive_loss(views, 1, TEMPERATURE, "mean"), views)
    torch.testing.assert_close(together[:, [0, 2]], alone[:, [0, 2]] / 2)
    assert not alone[:, [1, 3]].any()


def test_in_the_summed_form_other_pictures_are_pushed_away() -> None:
    views = some_views(views=2, anchors=4).requires_grad_(True)
    (together,) = torch.autograd.grad(contrastive_loss(views, 1, TEMPERATURE, "sum"), views)
    changed = views.detach().clone()
    changed[:, 1] += 1.0
    changed.requires_grad_(True)
    (after,) = torch.autograd.grad(contrastive_loss(changed, 1, TEMPERATURE, "sum"), changed)
    assert not torch.allclose(together[:, 0], after[:, 0])


def test_nt_xent_is_the_cross_entropy_of_finding_the_other_view() -> None:
    views = some_views(views=2)
    rows = functional.normalize(views, dim=-1).flatten(0, 1)
    logits = (rows @ rows.T / TEMPERATURE).fill_diagonal_(-torch.inf)
    partner = torch.arange(16).roll(8)
    expected = functional.cross_entropy(logits, partner)
    torch.testing.assert_close(contrastive_loss(views, 1, TEMPERATURE, "ntxent"), expected)


def test_supcon_has_nothing_to_do_when_kinds_are_already_apart() -> None:
    apart = torch.zeros(2, 8, 2)
    apart[:, :4, 0] = 1
    apart[:, 4:, 0] = -1
    apart.requires_grad_(True)
    (gradient,) = torch.autograd.grad(contrastive_loss(apart, 1, TEMPERATURE, "supcon"), apart)
    assert gradient.abs().max() < 1e-6


@pytest.mark.parametrize("switch", SWITCHES)
def test_every_switch_gives_a_finite_loss_with_a_gradient(switch: Switch) -> None:
    views = some_views().requires_grad_(True)
    loss = contrastive_loss(views, 1, TEMPERATURE, switch)
    (gradient,) = torch.autograd.grad(loss, views)
    assert torch.isfinite(loss)
    assert torch.isfinite(gradient).all()
    assert bool(gradient.any()) == (switch != "cls-only")


def test_opposites_are_clean_rows_of_one_view_and_positives_cross_views() -> None:
    opposite = opposite_pairs(views=3, anchors=4, clean=2)
    assert opposite.sum() == 2 * 4
    assert opposite[0, 2]
    assert opposite[5, 7]
    assert not opposite[8:].any()
    same = same_anchor(views=3, anchors=4)
    assert same[0, 4]
    assert same[0, 8]
    assert same.sum() == 12 * 2
