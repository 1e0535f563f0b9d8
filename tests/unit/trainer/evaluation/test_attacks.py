"""Attacks stay within their size, get as far as they can, and are the same for the same seed."""

import pytest
import torch
from torch import Tensor

from trainer.evaluation.attacks import Apgd, Attack, Pgd, RandomSigns, Squares, attack_in_batches

EPSILON = 4 / 255


def brightness(x: Tensor) -> Tensor:
    return x.mean((1, 2, 3))


def pictures(count: int = 4) -> Tensor:
    return torch.rand(count, 1, 16, 16, generator=torch.Generator().manual_seed(0)) * 0.8 + 0.1


UP_AND_DOWN = torch.tensor([1.0, 1.0, -1.0, -1.0])
ATTACKS: list[Attack] = [Pgd(EPSILON, 5), Apgd(EPSILON, 5), RandomSigns(EPSILON), Squares(EPSILON, 20)]


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_stays_within_its_size_and_the_picture(attack: Attack) -> None:
    x = torch.rand(4, 1, 16, 16, generator=torch.Generator().manual_seed(1)).round()  # black and white
    hit = attack(brightness, x, UP_AND_DOWN)
    assert float((hit - x).abs().max()) <= EPSILON + 1e-6
    assert float(hit.min()) >= 0
    assert float(hit.max()) <= 1


@pytest.mark.parametrize("attack", ATTACKS)
def test_the_same_seed_gives_the_same_attack(attack: Attack) -> None:
    torch.testing.assert_close(
        attack(brightness, pictures(), UP_AND_DOWN), attack(brightness, pictures(), UP_AND_DOWN)
    )


@pytest.mark.parametrize("attack", [Pgd(EPSILON, 10), Apgd(EPSILON, 10)])
def test_pgd_reaches_the_corner_of_a_linear_score_in_both_directions(attack: Attack) -> None:
    x = pictures()
    hit = attack(brightness, x, UP_AND_DOWN)
    torch.testing.assert_close(brightness(hit) - brightness(x), UP_AND_DOWN * EPSILON, rtol=1e-3, atol=1e-5)


def test_pgd_returns_the_worst_iterate_and_not_the_last() -> None:
    calls: list[Tensor] = []

    def spiteful(x: Tensor) -> Tensor:
        """Rewards the start; every later iterate scores less."""
        calls.append(x)
        return brightness(x) * 0 - float(len(calls))

    hit = Pgd(EPSILON, 3)(spiteful, pictures(1), torch.ones(1))
    torch.testing.assert_close(hit, calls[0].detach())


def test_more_restarts_are_never_weaker() -> None:
    def bumpy(x: Tensor) -> Tensor:
        return torch.sin(300 * x).mean((1, 2, 3))

    x, up = pictures(), torch.ones(4)
    once, often = (bumpy(Pgd(EPSILON, 5, restarts=count)(bumpy, x, up)) for count in (1, 4))
    assert bool((often >= once).all())


def test_step_halving_gets_to_the_top_of_a_hill_that_the_first_step_leaps_over() -> None:
    x = torch.full((2, 1, 16, 16), 0.5)
    top = x + EPSILON / 7

    def hill(candidate: Tensor) -> Tensor:
        return -(candidate - top).abs().mean((1, 2, 3))

    far = hill(x)
    found = hill(Apgd(EPSILON, 60)(hill, x, torch.ones(2)))
    assert bool((found > far / 4).all())


def test_squares_get_most_of_the_way_without_a_gradient() -> None:
    x = pictures()
    with torch.no_grad():
        hit = Squares(EPSILON, 200)(brightness, x, UP_AND_DOWN)
        gained = (brightness(hit) - brightness(x)) * UP_AND_DOWN
    assert float(gained.min()) > EPSILON / 2


def test_batches_do_not_change_which_picture_goes_where() -> None:
    report: list[int] = []
    x, direction = pictures(72), UP_AND_DOWN.repeat(18)
    hit = attack_in_batches(Pgd(EPSILON, 5), brightness, x, direction, report.append)
    assert report == [64, 72]
    assert bool(((brightness(hit) - brightness(x)) * direction > 0).all())
