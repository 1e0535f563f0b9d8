"""The boundary, and what the semi-push-pull loss asks of vectors on either side of it."""

import pytest
import torch

from trainer.detectors.bgad.loss import (
    Boundary,
    anomalous_weight,
    likelihood_loss,
    normal_weight,
    push_pull,
)

HOW = Boundary(quantile=0.05, margin=0.1, weight=1.0)


def test_what_is_on_the_right_side_feels_nothing() -> None:
    normal = torch.full((100,), -1.4, requires_grad=True)
    anomalous = torch.full((10,), -4.0, requires_grad=True)
    loss = push_pull(normal, anomalous, HOW)
    assert loss == 0, "nobody violates: no NaN of an empty mean"
    assert all(not gradient.any() for gradient in torch.autograd.grad(loss, [normal, anomalous]))


def test_a_defect_above_the_margin_is_pushed_down_and_an_unlikely_normal_pulled_up() -> None:
    normal = torch.linspace(-3, -1, 101).requires_grad_(True)
    anomalous = torch.tensor([-1.0, -6.0], requires_grad=True)
    pulled, pushed = torch.autograd.grad(push_pull(normal, anomalous, HOW), [normal, anomalous])
    assert (pulled[:5] < 0).all()
    assert not pulled[6:].any()
    assert pushed[0] > 0
    assert pushed[1] == 0


def test_no_defect_moves_the_boundary() -> None:
    normal = torch.linspace(-3, -1, 101)
    only_far = push_pull(normal, torch.tensor([-60.0]), HOW)
    assert push_pull(normal, torch.tensor([-9.0]), HOW) == only_far


def test_a_defect_is_as_far_from_the_boundary_as_the_margin_says() -> None:
    normal = torch.full((50,), -1.0)  # the boundary is at a tenth of it
    assert push_pull(normal, torch.tensor([-2.001]), HOW) == 0
    assert push_pull(normal, torch.tensor([-1.9]), HOW) == pytest.approx(
        0.01 * float(anomalous_weight(torch.tensor(-0.19))), rel=1e-4
    )


@pytest.mark.parametrize(("weight", "limit"), [(normal_weight, -0.2), (anomalous_weight, -1.0)])
def test_focal_weights_are_one_and_grow_steadily_beyond_their_limit(weight: object, limit: float) -> None:
    assert callable(weight)
    dependencies = weight(torch.tensor([limit - 1e-3, limit + 1e-3]))
    torch.testing.assert_close(dependencies, torch.ones(2), rtol=0.02, atol=0)
    beyond = weight(torch.linspace(limit, -3 if weight is normal_weight else -0.05, 20))
    assert (beyond.diff() > -0.02).all()
    assert beyond[-1] > 2


def test_the_likelihood_loss_falls_as_normals_become_likely() -> None:
    losses = [float(likelihood_loss(torch.full((8,), level))) for level in (-6.0, -3.0, -1.4)]
    assert losses == sorted(losses, reverse=True)
