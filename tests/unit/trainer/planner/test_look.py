"""What a folder of good parts is, and what its number buys."""

import numpy as np
import pytest

from trainer.arrays import Pictures
from trainer.planner.look import left_out_text, look_at, near_duplicates, promised, size_text


def _noise(count: int, seed: int = 0) -> Pictures:
    return np.random.default_rng(seed).integers(0, 256, (count, 32, 32, 1)).astype(np.uint8)


def _parts(turning: bool) -> Pictures:
    rng, found = np.random.default_rng(1), []
    for _ in range(24):
        part = np.full((32, 32), 40.0)
        part[4:12, 4:20] = 200
        found.append(np.rot90(part, int(rng.integers(4)) if turning else 0) + rng.normal(0, 3, (32, 32)))
    return np.stack(found).clip(0, 255).astype(np.uint8)[..., None]


def test_parts_in_their_place_turning_parts_and_textures_are_told_apart() -> None:
    assert (look_at(_parts(turning=False)).kind, look_at(_parts(turning=False)).pose) == (
        "object",
        "in its place",
    )
    assert (look_at(_parts(turning=True)).kind, look_at(_parts(turning=True)).pose) == (
        "object",
        "in any pose",
    )
    assert (look_at(_noise(24)).kind, look_at(_noise(24)).pose) == ("texture", "in any pose")


def test_two_takes_of_one_part_are_near_duplicates_and_parts_alike_in_their_place_are_not() -> None:
    parts = _parts(turning=False)
    assert near_duplicates(parts) == {}
    again = np.concatenate([parts, parts[3:4], parts[3:4]])
    assert near_duplicates(again) == {24: 3, 25: 3}


def test_the_bound_is_the_conformal_one_and_never_under_what_is_wanted() -> None:
    assert promised(20, 0.01) == pytest.approx(1 / 21)
    assert promised(99, 0.01) == pytest.approx(0.01)
    assert promised(5000, 0.01) == pytest.approx(0.01)


def test_sizes_and_what_is_left_out_are_told_in_words() -> None:
    assert size_text([(4, 6), (4, 6), (8, 8)]) == "4 x 6, 8 x 8"
    assert left_out_text({}) == ""
    assert left_out_text({f"{n}.png": "why" for n in range(10)}).endswith("7.png (why) and 2 more")
