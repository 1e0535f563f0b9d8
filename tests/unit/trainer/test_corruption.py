"""Natural corruptions keep pictures pictures, and are the same each time."""

import numpy as np
import pytest

from tests.support.parts import good_parts
from trainer.corruption import CORRUPTIONS


@pytest.mark.parametrize("name", sorted(CORRUPTIONS))
@pytest.mark.parametrize("channels", [1, 3])
def test_a_corruption_changes_every_picture_the_same_way_each_time(name: str, channels: int) -> None:
    pictures = good_parts(3, channels=channels)
    found = CORRUPTIONS[name](pictures)
    assert found.shape == pictures.shape
    assert found.dtype == np.uint8
    assert all((found != pictures).reshape(3, -1).any(axis=1))
    np.testing.assert_array_equal(found, CORRUPTIONS[name](pictures))


def test_there_are_five() -> None:
    assert sorted(CORRUPTIONS) == ["contrast", "defocus", "exposure", "jpeg", "noise"]
