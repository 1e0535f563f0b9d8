"""Natural corruptions and changes of light keep pictures pictures, are the same each time, and grow with
their severity.
"""

import numpy as np
import pytest

from tests.support.parts import good_parts
from trainer.evaluation.corruption import CORRUPTIONS, SEVERITIES
from trainer.evaluation.light import LIGHT, SHIFTS

# A gray picture has no colour to lose.
_OF_GRAY = sorted(SHIFTS.keys() - {"white_balance"})


@pytest.mark.parametrize(
    ("name", "channels"), [*((name, 1) for name in _OF_GRAY), *((name, 3) for name in sorted(SHIFTS))]
)
def test_a_corruption_changes_every_picture_the_same_way_each_time(name: str, channels: int) -> None:
    pictures = good_parts(3, channels=channels)[:, :, :24]  # wider than high
    found = SHIFTS[name](pictures, 2)
    assert found.shape == pictures.shape
    assert found.dtype == np.uint8
    assert all((found != pictures).reshape(3, -1).any(axis=1))
    np.testing.assert_array_equal(found, SHIFTS[name](pictures, 2))


@pytest.mark.parametrize("name", sorted(SHIFTS))
def test_a_severer_corruption_changes_more(name: str) -> None:
    ramp = np.add.outer(np.arange(96), np.arange(96)).astype(np.uint8)
    disc = np.hypot(*np.meshgrid(np.arange(96) - 40, np.arange(96) - 60)) < 20
    pictures = np.where(disc, 60, ramp).astype(np.uint8)[None, ..., None]
    pictures = np.repeat(pictures, 3, axis=3) if name == "white_balance" else pictures
    changes = [
        float(np.abs(SHIFTS[name](pictures, severity).astype(float) - pictures).mean())
        for severity in SEVERITIES
    ]
    assert changes[0] < changes[1] < changes[2]


def test_there_are_eight() -> None:
    assert sorted(CORRUPTIONS) == [
        "contrast", "defocus", "dust", "exposure", "jpeg", "motion", "noise", "shift",
    ]  # fmt: skip
    assert not LIGHT.keys() & CORRUPTIONS.keys()


def test_a_gray_picture_keeps_its_white_balance() -> None:
    pictures = good_parts(2)
    np.testing.assert_array_equal(LIGHT["white_balance"](pictures, 3), pictures)
