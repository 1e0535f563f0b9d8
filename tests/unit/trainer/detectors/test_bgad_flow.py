"""The flow is a density: its volume term is that of its map, and it learns what it is shown."""

import math

import pytest
import torch
from torch import Tensor

from trainer.detectors.bgad.flow import CODE, FlowShape, NormalizingFlow, place_code
from trainer.detectors.bgad.loss import likelihood_loss

SHAPE = FlowShape(couplings=3, hidden=16)


def a_moved_flow(channels: int) -> NormalizingFlow:
    """Return a flow whose couplings do something."""
    flow = NormalizingFlow(channels, (2, 2), SHAPE, seed=1)
    random = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.normal_(0, 0.5, generator=random)
    return flow


def mapped(flow: NormalizingFlow, x: Tensor, place: int) -> tuple[Tensor, Tensor]:
    """Return z and log|det J| of one vector (channels,)."""
    volume = torch.zeros(())
    for coupling in flow.couplings:
        x, grown = coupling(x[None], flow.code, torch.tensor([place]))
        x, volume = x[0], volume + grown[0]
    return x, volume


def test_an_untrained_flow_is_the_standard_normal_density() -> None:
    x = torch.randn(5, 4, 6, generator=torch.Generator().manual_seed(0))
    expected = (-0.5 * x.square() - 0.5 * math.log(2 * math.pi)).mean(-1)
    torch.testing.assert_close(NormalizingFlow(6, (2, 2), SHAPE, seed=0)(x), expected)


def test_the_volume_term_is_the_determinant_of_the_jacobian() -> None:
    flow, x = a_moved_flow(5), torch.tensor([0.3, -1.0, 0.5, 2.0, -0.2])
    jacobian = torch.func.jacrev(lambda v: mapped(flow, v, 3)[0])(x)
    volume = mapped(flow, x, 3)[1]
    torch.testing.assert_close(volume, torch.linalg.slogdet(jacobian).logabsdet, rtol=1e-4, atol=1e-4)


def test_two_dimensions_integrate_to_one() -> None:
    axis = torch.linspace(-12, 12, 481)
    grid = torch.cartesian_prod(axis, axis)
    with torch.no_grad():
        density = (2 * a_moved_flow(2)(grid, torch.zeros(len(grid), dtype=torch.long))).exp()
    assert float(density.sum() * (24 / 480) ** 2) == pytest.approx(1, abs=0.02)


def test_a_vector_has_the_same_density_alone_and_in_its_picture() -> None:
    flow, x = a_moved_flow(6), torch.randn(3, 4, 6, generator=torch.Generator().manual_seed(4))
    alone = flow(x.flatten(0, 1), torch.arange(4).repeat(3))
    torch.testing.assert_close(flow(x).flatten(), alone)


def test_training_makes_what_it_sees_likelier_where_it_was_seen() -> None:
    flow = NormalizingFlow(4, (2, 2), FlowShape(couplings=4, hidden=32), seed=0)
    optimizer, random = torch.optim.Adam(flow.parameters(), 5e-3), torch.Generator().manual_seed(0)
    places = torch.arange(400) % 2
    for _ in range(150):
        x = 0.3 * torch.randn(400, 4, generator=random) + torch.where(places == 0, 1.0, -1.0)[:, None]
        loss = likelihood_loss(flow(x, places))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    here, there = flow(torch.ones(2, 4), torch.tensor([0, 1])).tolist()
    assert here > -0.5 * math.log(2 * math.pi) > there


def test_every_place_has_a_code_of_its_own() -> None:
    code = place_code((7, 5))
    assert code.shape == (35, CODE)
    assert (torch.cdist(code, code) + torch.eye(35) > 0.1).all()
