"""Attacks of other shapes stay within their size, do harm, and more of it where they are larger."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from bench.threats.chosen import WorstOf, hues, lights, saturations, turned_and_shifted
from bench.threats.norms import FewPixels, NormDescent
from bench.threats.plan import threats
from bench.threats.sticker import Sticker
from steadyline.grid import Grid
from trainer.evaluation.attacks import Attack

SIDE = 16
X = torch.rand((6, 1, SIDE, SIDE), generator=torch.Generator().manual_seed(0)) * 0.6 + 0.2
UP = torch.tensor([1.0, -1.0] * 3)


def score(x: Tensor) -> Tensor:
    """Return a smooth maximum of blurred local contrast: (B,)."""
    mean = functional.avg_pool2d(x.mean(1, keepdim=True), 3, 1, 1)
    return torch.logsumexp(20 * ((x.mean(1, keepdim=True) - mean) ** 2).flatten(1), 1) / 20


def rise(attack: Attack, x: Tensor = X) -> Tensor:
    """Return how far each picture moved in the attack's favour."""
    return (score(attack(score, x, UP)) - score(x)) * UP


SIZED: dict[str, tuple[Callable[[float], Attack], Callable[[Tensor], Tensor], float]] = {
    "l2": (lambda size: NormDescent("l2", size, 30), lambda change: change.flatten(1).norm(dim=1), 0.5),
    "l1": (lambda size: NormDescent("l1", size, 30), lambda change: change.abs().flatten(1).sum(1), 4.0),
    "l0": (
        lambda size: FewPixels(round(size)),
        lambda change: (change.abs() > 0).flatten(1).sum(1).float(),
        6.0,
    ),
    "sticker": (
        lambda size: Sticker(size / SIDE**2, 20),
        lambda change: (change.abs() > 0).flatten(1).sum(1).float(),
        16.0,
    ),
}


@pytest.mark.parametrize("name", SIZED)
def test_an_attack_stays_within_its_size_and_does_harm(name: str) -> None:
    make, measure, size = SIZED[name]
    found = make(size)(score, X, UP)
    assert float(found.min()) >= 0
    assert float(found.max()) <= 1
    assert float(measure(found - X).max()) <= size * (1 + 1e-4)
    harm = rise(make(size))
    assert float(harm.min()) >= -1e-6
    assert float(harm[UP > 0].min()) > 0.001


@pytest.mark.parametrize("name", SIZED)
def test_a_larger_one_does_more(name: str) -> None:
    make, _, size = SIZED[name]
    assert float(rise(make(4 * size)).mean()) > float(rise(make(size)).mean())


@pytest.mark.parametrize("name", ["l2", "l1"])
def test_gradients_do_more_than_chance_in_the_same_ball(name: str) -> None:
    make, measure, size = SIZED[name]
    random = torch.Generator().manual_seed(1)
    best = torch.zeros(len(X))
    for _ in range(50):
        noise = torch.randn(X.shape, generator=random)
        noise = noise * (size / measure(noise)).view(-1, 1, 1, 1)
        best = torch.maximum(best, (score((X + noise).clamp(0, 1)) - score(X)) * UP)
    assert float(rise(make(size)).mean()) > 2 * float(best.mean())


def test_a_sticker_is_one_square() -> None:
    changed = (Sticker(0.1, 10)(score, X, UP) != X)[:, 0]
    for one in changed:
        rows, columns = one.any(1).nonzero()[:, 0], one.any(0).nonzero()[:, 0]
        if len(rows):
            assert int(rows[-1] - rows[0]) < round((0.1 * SIDE**2) ** 0.5)
            assert int(columns[-1] - columns[0]) < round((0.1 * SIDE**2) ** 0.5)


def test_the_worst_of_many_is_at_least_as_bad_as_each_and_nothing_is_among_them() -> None:
    changes = turned_and_shifted(5, 2, steps=3)
    assert len(changes) == 27
    best = rise(WorstOf(changes))
    for change in changes:
        assert (best >= (score(change(X).clamp(0, 1)) - score(X)) * UP - 1e-6).all()
    assert float(best.min()) >= 0
    torch.testing.assert_close(WorstOf([])(score, X, UP), X)


def test_no_turn_and_no_shift_leave_a_picture_as_it_is() -> None:
    (same,) = turned_and_shifted(0, 0, steps=1)
    torch.testing.assert_close(same(X), X, atol=1e-5, rtol=0)
    wide = torch.rand((2, 3, 8, 24))
    torch.testing.assert_close(turned_and_shifted(0, 0, steps=1)[0](wide), wide, atol=1e-5, rtol=0)


def test_a_shift_moves_whole_pixels_and_a_quarter_turn_turns() -> None:
    right = turned_and_shifted(0, 1, steps=3)[5]  # angle 0, right 0, down 1 .. the order is that of product
    spot = torch.zeros((1, 1, 5, 5))
    spot[0, 0, 2, 2] = 1
    moved = [change(spot) for change in turned_and_shifted(0, 1, steps=3)]
    assert right is not None
    assert {tuple(one[0, 0].round().nonzero()[0].tolist()) for one in moved} == {
        (row, column) for row in (1, 2, 3) for column in (1, 2, 3)
    }
    corner = torch.zeros((1, 1, 5, 5))
    corner[0, 0, 0, 2] = 1
    turned = turned_and_shifted(90, 0, steps=3)[0](corner)
    assert turned[0, 0].round().nonzero()[0].tolist() in ([2, 0], [2, 4])


def test_colours_keep_what_is_grey() -> None:
    grey = torch.full((1, 3, 4, 4), 0.4)
    for change in (*hues(40), *saturations(0.5)):
        torch.testing.assert_close(change(grey), grey, atol=1e-3, rtol=0)
    red = torch.tensor([0.8, 0.2, 0.2]).view(1, 3, 1, 1)
    assert not torch.allclose(hues(40)[0](red), red, atol=0.05)
    assert float(saturations(1, steps=3)[0](red).std()) == pytest.approx(0, abs=1e-6)


def test_light_is_a_gain_and_an_offset() -> None:
    changes = lights(0.2, 0.1, steps=3)
    torch.testing.assert_close(changes[0](X), X * 0.8 - 0.1)
    torch.testing.assert_close(changes[-1](X), X * 1.2 + 0.1)


def test_the_plan_has_colour_only_where_there_is_any() -> None:
    grey, colour = (set(threats(Grid(16, 32), channels, 5, 0)) for channels in (1, 3))
    assert colour - grey == {"hue ±20°", "saturation ±40%"}
    assert "l2 2/255 rms" in grey
