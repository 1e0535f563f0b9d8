"""Pictures are varied as one camera varies them, from the seed alone."""

from dataclasses import replace

import numpy as np
import pytest

from tests.support.parts import good_parts
from trainer.learning.vary import CAMERA_CHANGES, CameraChanges, vary, views

PICTURES = good_parts(5, 32, channels=3)
NOTHING = CameraChanges(
    copies=1,
    darkest=1,
    brightest=1,
    offset=0,
    noise=0,
    noisy=0,
    blur=0,
    blurred=0,
    worst=15,
    best=90,
    coded=0,
)


def test_the_same_seed_gives_the_same_bytes_however_many_are_made_at_once() -> None:
    def whole(seed: int, at_once: int) -> bytes:
        return np.concatenate([part for part, _ in views(PICTURES, CAMERA_CHANGES, seed, at_once)]).tobytes()

    assert whole(0, 2) == whole(0, 5)
    assert whole(0, 2) != whole(1, 2)


def test_each_normal_is_seen_as_it_is_and_in_each_copy() -> None:
    found = [(start, part) for part, start in views(PICTURES, CAMERA_CHANGES, 0, 2)]
    assert [start for start, _ in found] == [0, 2, 4] * 4
    assert np.array_equal(np.concatenate([part for _, part in found[:3]]), PICTURES)
    for copy in range(1, 4):
        part = np.concatenate([part for _, part in found[3 * copy : 3 * copy + 3]])
        assert part.shape == PICTURES.shape
        assert part.dtype == np.uint8
        assert not np.array_equal(part, PICTURES)


def test_nothing_changes_where_nothing_may() -> None:
    assert np.array_equal(vary(PICTURES[0], NOTHING, np.random.default_rng(0)), PICTURES[0])


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("gain", replace(NOTHING, darkest=0.6, brightest=0.7)),
        ("noise", replace(NOTHING, noise=0.07, noisy=1)),
        ("blur", replace(NOTHING, blur=2, blurred=1)),
        ("coding", replace(NOTHING, coded=1, best=20)),
    ],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_each_kind_of_change_changes_something(name: str, changes: CameraChanges, channels: int) -> None:
    picture = good_parts(1, 32, channels)[0]
    found = vary(picture, changes, np.random.default_rng(0))
    assert found.shape == picture.shape
    assert not np.array_equal(found, picture), name
