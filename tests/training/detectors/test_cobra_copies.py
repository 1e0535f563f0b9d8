"""K = 2 and K = 4: what the copies are, how they are learned, and what the score makes of them."""

import numpy as np
import pytest
import torch

from steadyline.errors import InvalidConfiguration
from tests.support.parts import defective_parts, good_parts
from trainer.detectors.cobra.copies import copies, permuted, picked_with_turned, signs, turned, with_turned
from trainer.detectors.cobra.profile import ADVERSARIES, PROFILES, overridden
from trainer.detectors.cobra.served import CobraServed
from trainer.fit import FitSettings, Trained, fit, rebuild
from trainer.jobs.export import export
from trainer.pseudo.kinds import TRANSFORMS

TINY: dict[str, float | int | str | bool] = {
    "shape.width": 8,
    "schedule.batch": 4,
    "schedule.attack_steps": 1,
    "score.memory": 8,
}


def quiet(step: int, total: int, message: str) -> None:
    pass


def tiny(size: int = 32, **changes: float | int | str | bool) -> Trained:
    named = {name.replace("__", "."): value for name, value in changes.items()}
    settings = FitSettings("cobra", steps=2, overrides={**TINY, **named})
    return fit(good_parts(10, size), settings, quiet)[0]


@pytest.fixture(scope="module")
def whole() -> Trained:
    """Everything of the paper's score at once."""
    torch.set_num_threads(1)
    return tiny(classes=4, score__shifted=True, score__scaled=True, score__norm_power=1.0)


def floats(count: int = 3) -> torch.Tensor:
    return torch.from_numpy(good_parts(count)).permute(0, 3, 1, 2).float() / 255


def test_the_distorted_copy_is_the_banks_own_permutation() -> None:
    picture = good_parts(1)[0] / np.float32(255)
    expected = TRANSFORMS["permute"].apply(picture, picture, {"first": 0, "second": 3})
    found = permuted(torch.from_numpy(picture).permute(2, 0, 1)[None])[0].permute(1, 2, 0)
    np.testing.assert_array_equal(found.numpy(), expected)


def test_four_copies_are_two_and_the_same_turned() -> None:
    x = floats()
    found = copies(x, 4)
    assert [signs(k) for k in range(4)] == [(-1, -1), (1, -1), (-1, 1), (1, 1)]
    assert torch.equal(found[0], x)
    assert torch.equal(found[2], torch.rot90(x, 1, (2, 3)))
    assert torch.equal(found[3], turned(found[1]))
    assert len(copies(x, 2)) == 2


def test_picked_cells_turn_with_their_picture() -> None:
    cells = torch.arange(2 * 16).reshape(2, 4, 4)
    picked = torch.tensor([[0, 7, 13], [3, 3, 15]])
    both, places = with_turned(cells), picked_with_turned(picked, 4)
    values = both.flatten(1).gather(1, places)
    torch.testing.assert_close(values[0::2], values[1::2])
    torch.testing.assert_close(values[0::2], cells.flatten(1).gather(1, picked))


@pytest.mark.parametrize("classes", [2, 4])
def test_one_copy_more_than_none_changes_the_score_but_not_the_map(classes: int) -> None:
    off = tiny(classes=classes)
    on = tiny(classes=classes, score__shifted=True)
    pictures = torch.from_numpy(good_parts(3))
    assert not torch.allclose(off.module(pictures)[0], on.module(pictures)[0])
    torch.testing.assert_close(off.module(pictures)[1], on.module(pictures)[1])


def test_the_score_is_the_mean_over_the_copies_of_the_papers_sum() -> None:
    """With whole pictures instead of cells it is the paper's formula to the letter, written out here."""
    pictures: dict[str, float | int | str | bool] = {"shape__cells": False, "weights__cells": 0.0}
    score: dict[str, float | int | str | bool] = {"score__norm_power": 1.0, "score__sharpness": 2000.0}
    made = tiny(64, **pictures, **score, score__shifted=True, score__scaled=True)
    module = made.module
    assert isinstance(module, CobraServed)
    x = torch.from_numpy(good_parts(3, 64)).permute(0, 3, 1, 2).float() / 255
    total = torch.zeros(3)
    for k, copy in enumerate([x, permuted(x)]):
        features = module.network.judged(module.network.features(copy))
        z = module.network.embed(features)[..., 0, 0]
        memory = [module.memory, *module.of_copies][k]
        nearest = (z @ memory.entries.T).amax(1) / memory.norm
        logit = module.network.pool(module.network.classify(features))
        total += nearest + (logit if k else -logit) / module.confidence[k]
    torch.testing.assert_close(module.score_float(x)[0], 1 - total / 2, atol=5e-3, rtol=1e-3)


def test_the_whole_score_is_rebuilt_and_exported_as_it_is(whole: Trained) -> None:
    pictures = np.concatenate([good_parts(4), defective_parts(4)[0]])
    again = rebuild(whole.recipe, whole.weights())
    assert isinstance(again, CobraServed)
    assert len(again.of_copies) == 3
    assert bool((again.confidence > 0).all())
    torch.testing.assert_close(again(torch.from_numpy(pictures)), whole.module(torch.from_numpy(pictures)))
    assert export(again, pictures).score_difference < 1e-3


def test_an_attack_finds_a_gradient_through_every_copy(whole: Trained) -> None:
    assert isinstance(whole.module, CobraServed)
    x = floats().requires_grad_(True)
    (gradient,) = torch.autograd.grad(whole.module.score_float(x)[0].sum(), x)
    assert bool((gradient != 0).float().mean() > 0.99)


@pytest.mark.parametrize("profile", ["cpu", "paper"])
def test_every_profile_takes_each_adversary_of_the_paper_and_all(profile: str) -> None:
    assert PROFILES["paper"].adversaries == tuple(ADVERSARIES.values())
    for name, adversary in ADVERSARIES.items():
        assert overridden(PROFILES[profile], {"adversaries": name}).adversaries == (adversary,)
    every = overridden(PROFILES[profile], {"adversaries": "contrast+opposite+classes"})
    assert every.adversaries == tuple(ADVERSARIES.values())


@pytest.mark.parametrize("adversaries", ["contrast", "opposite", "classes", "contrast+opposite+classes"])
def test_a_net_trains_against_each_adversary(adversaries: str) -> None:
    made = tiny(adversaries=adversaries, weights__contrast=1.0)
    assert torch.isfinite(made.module(torch.from_numpy(good_parts(2)))[0]).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": 3}, "there are 2 and 4"),
        ({"adversaries": "contrast+colour"}, "contrast, opposite, classes"),
    ],
)
def test_a_k_or_an_adversary_that_there_is_not_is_refused(
    changes: dict[str, float | int | str | bool], message: str
) -> None:
    with pytest.raises(InvalidConfiguration, match=message):
        overridden(PROFILES["cpu"], changes)
