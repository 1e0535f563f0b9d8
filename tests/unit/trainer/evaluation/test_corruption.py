"""Natural corruptions keep pictures pictures, are the same each time, and grow with their severity."""

import numpy as np
import pytest

from tests.support.parts import good_parts
from trainer.evaluation.corruption import CORRUPTIONS, SEVERITIES


@pytest.mark.parametrize("name", sorted(CORRUPTIONS))
@pytest.mark.parametrize("channels", [1, 3])
def test_a_corruption_changes_every_picture_the_same_way_each_time(name: str, channels: int) -> None:
    pictures = good_parts(3, channels=channels)[:, :, :24]  # wider than high
    found = CORRUPTIONS[name](pictures, 2)
    assert found.shape == pictures.shape
    assert found.dtype == np.uint8
    assert all((found != pictures).reshape(3, -1).any(axis=1))
    np.testing.assert_array_equal(found, CORRUPTIONS[name](pictures, 2))


@pytest.mark.parametrize("name", sorted(CORRUPTIONS))
def test_a_severer_corruption_changes_more(name: str) -> None:
    ramp = np.add.outer(np.arange(96), np.arange(96)).astype(np.uint8)
    disc = np.hypot(*np.meshgrid(np.arange(96) - 40, np.arange(96) - 60)) < 20
    pictures = np.where(disc, 60, ramp).astype(np.uint8)[None, ..., None]
    changes = [
        float(np.abs(CORRUPTIONS[name](pictures, severity).astype(float) - pictures).mean())
        for severity in SEVERITIES
    ]
    assert changes[0] < changes[1] < changes[2]


def test_there_are_eight() -> None:
    assert sorted(CORRUPTIONS) == [
        "contrast", "defocus", "dust", "exposure", "jpeg", "motion", "noise", "shift",
    ]  # fmt: skip
