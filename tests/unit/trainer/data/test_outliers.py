"""Pictures that are no normals are found among them; honest ones stay, in any light."""

import numpy as np
import pytest

from tests.support.parts import defective_parts, good_parts
from trainer.arrays import Pictures
from trainer.data.outliers import LEAST_SCORES, MOST_REFERENCES, distances, far_from_all_others, fence

SIDE = 32


def mixed(good: int, bad: int, channels: int = 1, side: int = SIDE) -> Pictures:
    """Return good parts, and behind them defective ones."""
    return np.concatenate([good_parts(good, side, channels), defective_parts(bad, side, channels, seed=9)[0]])


@pytest.mark.parametrize("bad", [1, 2, 4, 6])
@pytest.mark.parametrize(("channels", "side"), [(1, 32), (3, 32), (1, 128)])
def test_defective_parts_among_the_normals_are_found_and_only_they(
    bad: int, channels: int, side: int
) -> None:
    assert set(far_from_all_others(mixed(60, bad, channels, side))) == set(range(60, 60 + bad))


@pytest.mark.parametrize("count", [8, 24, 60, 200])
def test_normals_alone_are_all_believed(count: int) -> None:
    assert far_from_all_others(good_parts(count, SIDE)) == {}


def test_copies_of_one_defect_do_not_vouch_for_each_other() -> None:
    one = np.repeat(defective_parts(1, SIDE)[0], 7, axis=0)
    one[:, 0, 0, 0] += np.arange(7, dtype=np.uint8)  # equal pictures count once anyway
    found = far_from_all_others(np.concatenate([good_parts(60, SIDE), one]))
    assert set(found) == set(range(60, 67))


def test_another_light_makes_no_part_defective() -> None:
    parts = good_parts(60, SIDE)
    parts[50:] = (parts[50:] * 0.6 + 20).astype(np.uint8)
    assert far_from_all_others(parts) == {}


def test_pictures_that_are_all_alike_and_too_few_of_them_are_believed() -> None:
    assert far_from_all_others(np.zeros((40, SIDE, SIDE, 1), np.uint8)) == {}
    assert far_from_all_others(mixed(LEAST_SCORES - 2, 1)) == {}
    assert fence([0.0, 1.0, 2.0]) is None


def test_of_many_pictures_each_is_compared_with_some_and_a_defect_is_still_the_farthest() -> None:
    parts = mixed(MOST_REFERENCES + 500, 1, side=16)
    measured = distances(parts)
    assert len(measured) == len(parts)
    assert int(np.argmax(measured)) == len(parts) - 1
