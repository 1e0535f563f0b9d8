"""A map over flips does not depend on how the picture lies."""

import pytest
import torch

from trainer.learning import flips


@pytest.mark.parametrize(("count", "axes"), [(2, (-1,)), (4, (-1,)), (4, (-2,)), (4, (-1, -2))])
def test_a_flipped_picture_has_the_flipped_map(count: int, axes: tuple[int, ...]) -> None:
    x = torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    ramp = torch.arange(8.0)

    def mapped(seen: torch.Tensor) -> torch.Tensor:
        return seen[:, 0] * ramp + ramp[:, None]

    found = flips.test_time_augmentation(mapped, x, count)
    torch.testing.assert_close(flips.test_time_augmentation(mapped, x.flip(axes), count), found.flip(axes))


def test_one_flip_is_the_picture_itself() -> None:
    x = torch.rand(2, 1, 4, 4)
    torch.testing.assert_close(flips.test_time_augmentation(lambda seen: seen[:, 0], x, 1), x[:, 0])
