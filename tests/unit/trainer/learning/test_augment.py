"""Two pictures of one good part may differ in light, and in no more."""

from dataclasses import replace

import torch

from trainer.detectors.cobra.profile import PROFILES
from trainer.learning.augment import flip, move, relight

LIGHT = PROFILES["cpu"].light


def batch(channels: int = 1) -> torch.Tensor:
    return torch.rand(6, channels, 16, 16, generator=torch.Generator().manual_seed(0)) * 0.5 + 0.25


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_same_seed_gives_the_same_light() -> None:
    assert torch.equal(relight(batch(), LIGHT, seeded(1)), relight(batch(), LIGHT, seeded(1)))
    assert not torch.equal(relight(batch(), LIGHT, seeded(1)), relight(batch(), LIGHT, seeded(2)))


def test_pixels_stay_in_range() -> None:
    found = relight(batch(3) * 2 - 0.5, LIGHT, seeded(1))
    assert float(found.min()) >= 0
    assert float(found.max()) <= 1


def test_without_noise_and_blur_only_level_and_contrast_change() -> None:
    still = replace(LIGHT, noise=0.0, blurred=0.0)
    before, after = batch().flatten(1), relight(batch(), still, seeded(1)).flatten(1)
    for old, new in zip(before, after, strict=True):
        assert torch.corrcoef(torch.stack([old, new]))[0, 1] > 0.9999


def test_only_the_marked_pictures_are_flipped() -> None:
    marked = torch.tensor([True, False, False, False, False, False])
    found = flip(batch(), marked, ~marked)
    torch.testing.assert_close(found[0], batch()[0].flip(-1))
    torch.testing.assert_close(found[1:], batch()[1:].flip(-2))


def test_a_picture_moved_by_whole_pixels_is_the_same_elsewhere() -> None:
    before = batch(3)
    after = move(before, torch.tensor([[2 / 16, -1 / 16]]).repeat(6, 1))
    assert torch.allclose(after[:, :, :-1, 2:], before[:, :, 1:, :-2], atol=1e-6)


def test_what_comes_in_repeats_the_edge() -> None:
    before = batch()
    after = move(before, torch.tensor([[3 / 16, 0.0]]).repeat(6, 1))
    assert torch.allclose(after[..., :3], before[..., :1].expand(-1, -1, -1, 3), atol=1e-6)


def test_each_picture_moves_its_own_way() -> None:
    ways = torch.zeros(6, 2)
    ways[1] = torch.tensor([0.5, 0.0]) / 16
    before, after = batch(), move(batch(), ways)
    assert torch.allclose(after[0], before[0], atol=1e-6)
    halves = (before[1, :, :, :-1] + before[1, :, :, 1:]) / 2
    assert torch.allclose(after[1, :, :, 1:], halves, atol=1e-6)
