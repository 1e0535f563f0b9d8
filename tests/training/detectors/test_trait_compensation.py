"""Scores compensated for brightness and detail: learned from normals, and never less than before."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from tests.support.parts import good_parts
from trainer.arrays import Pictures
from trainer.detectors.either.trait_compensation import TraitCompensation, TraitSlopes, traits_of
from trainer.evaluation.subject import floats

PARTS = good_parts(12, 64, seed=3)
FLAT = TraitSlopes((0.5, -3.0), (0.0, 0.0), (0.0, 0.0), (0.0, -7.0), (1.0, 0.0))


def smoothed(pictures: Pictures, radius: float) -> Pictures:
    images = (Image.fromarray(one[..., 0]).filter(ImageFilter.GaussianBlur(radius)) for one in pictures)
    return np.stack([np.asarray(image)[..., None] for image in images])


def normals(rng: np.random.Generator, count: int = 800) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return traits and scores of normals: one under the median brightness loses 2 a unit, and its noise
    grows with its detail.
    """
    traits = rng.uniform((0.2, -4.0), (0.8, -2.0), (count, 2))
    noise = rng.standard_normal(count) * (1 + np.abs(traits[:, 1] + 3))
    return traits, 10 - 2 * (0.5 - traits[:, 0]).clip(min=0) * 10 + noise


def test_brightness_is_of_the_picture_and_detail_of_what_the_halves_see() -> None:
    pictures = floats(PARTS)
    dark, soft = traits_of(pictures * 0.5, pictures), traits_of(pictures, floats(smoothed(PARTS, 4)))
    as_it_is = traits_of(pictures, pictures)
    torch.testing.assert_close(dark[:, 0], as_it_is[:, 0] * 0.5)
    torch.testing.assert_close(dark[:, 1], as_it_is[:, 1])
    assert (soft[:, 1] < as_it_is[:, 1]).all()


def test_what_makes_normals_score_low_is_found_and_raises_a_picture_as_far() -> None:
    traits, scores = normals(np.random.default_rng(1))
    slopes = TraitSlopes.of(traits, scores, 0.5)
    assert slopes.below[0] == pytest.approx(-20, abs=3)
    assert slopes.above[0] == pytest.approx(0, abs=3)
    dark, median = torch.full((1, 1, 64, 64), 0.3), torch.full((1, 1, 64, 64), slopes.median[0])
    seen = torch.from_numpy(np.random.default_rng(0).random((1, 1, 64, 64), np.float32))
    compensation = TraitCompensation(
        replace(slopes, below=(slopes.below[0], 0.0), above=(slopes.above[0], 0.0))
    )
    assert float(compensation(dark, seen)) == pytest.approx(
        -slopes.below[0] * (slopes.median[0] - 0.3), abs=1e-4
    )
    assert float(compensation(median, seen)) == pytest.approx(0, abs=1e-4)


def test_the_share_is_that_of_normals_below_whatever_their_traits() -> None:
    traits, scores = normals(np.random.default_rng(2), 2000)
    slopes = TraitSlopes.of(traits, scores, 0.9)
    away = traits.clip(slopes.least, slopes.greatest) - np.array(slopes.median)
    expected = (np.array(slopes.below) * (-away).clip(min=0) + np.array(slopes.above) * away.clip(min=0)).sum(
        1
    )
    high = scores - expected
    level = np.quantile(high, 0.9)
    for fine in (traits[:, 1] < -3.6, np.abs(traits[:, 1] + 3) < 0.2, traits[:, 1] > -2.4):
        assert (high[fine] < level).mean() == pytest.approx(0.9, abs=0.05)


def test_nothing_is_taken_from_a_score_and_nothing_given_beyond_what_normals_had() -> None:
    worse = replace(FLAT, below=(10.0, 0.0), above=(-10.0, 0.0), least=(0.4, -7.0), greatest=(0.6, 0.0))
    compensation = TraitCompensation(worse)
    shown = {
        value: float(compensation(torch.full((1, 1, 32, 32), value), floats(PARTS[:1])))
        for value in (0.1, 0.6, 0.9)
    }
    assert shown[0.1] == 0
    assert [shown[0.6], shown[0.9]] == pytest.approx([1.0, 1.0], abs=1e-5)


def test_a_flat_picture_has_traits_and_a_gradient() -> None:
    flat = torch.full((1, 1, 32, 32), 0.5, requires_grad=True)
    (gradient,) = torch.autograd.grad(traits_of(flat, flat).sum(), flat)
    assert torch.isfinite(gradient).all()


def test_the_slopes_survive_a_recipe_and_foreign_ones_are_refused() -> None:
    traits, scores = normals(np.random.default_rng(3))
    stored: Any = TraitSlopes.of(traits, scores, 0.75).as_recipe()
    assert TraitSlopes.of_recipe(stored).as_recipe() == stored
    foreign: list[Any] = [
        {"below": [1.0]},
        {"above": [float("nan"), 0.0]},
        {"above": [1e9, 0.0]},
        {"least": [9.0, 9.0]},
        {"median": 3},
    ]
    for changed in foreign:
        with pytest.raises((TypeError, ValueError)):
            TraitSlopes.of_recipe({**stored, **changed})
