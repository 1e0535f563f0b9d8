"""What a training saw is kept, and a frame never changes sides."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from steadyline.errors import InvalidConfiguration, PackageRejected
from tests.support.model_history import a_model
from trainer.arrays import Pictures
from trainer.data.snapshot import (
    HELD_OUT_BY,
    LEAST_HELD_OUT,
    NEIGHBOURS,
    NormalSource,
    Snapshot,
    group_of,
    held_out_as_live,
    held_out_runs,
    make_snapshot,
    split,
    unpack,
)


def frames(count: int, seed: int = 0) -> list[tuple[NormalSource, Pictures]]:
    random = np.random.default_rng(seed)
    return [
        (
            NormalSource(id=f"{i:04}.png", uri=f"file:///good/{i:04}.png"),
            random.integers(0, 256, (8, 8, 1), np.uint8),
        )
        for i in range(count)
    ]


def test_a_snapshot_comes_back_as_it_was_packed() -> None:
    snapshot = make_snapshot(frames(30))
    again = unpack(snapshot.pack())
    assert again.sources == snapshot.sources
    np.testing.assert_array_equal(again.pictures, snapshot.pictures)
    np.testing.assert_array_equal(again.held_out, snapshot.held_out)


def test_the_order_of_finding_the_frames_does_not_matter() -> None:
    assert make_snapshot(frames(30)).pack() == make_snapshot(frames(30)[::-1]).pack()


def test_about_a_fifth_is_held_out() -> None:
    assert 60 < make_snapshot(frames(500)).held_out.sum() < 140


@pytest.mark.parametrize("count", [24, 25, 31, 40, 63, 120])
def test_a_small_set_still_holds_some_out_and_has_some_left(count: int) -> None:
    assert LEAST_HELD_OUT <= make_snapshot(frames(count)).held_out.sum() <= count - LEAST_HELD_OUT


def test_neighbours_are_held_out_or_trained_on_together() -> None:
    held_out = make_snapshot(frames(400)).held_out.reshape(-1, NEIGHBOURS)
    assert set(held_out.sum(1).tolist()) == {0, NEIGHBOURS}


def test_a_frame_of_the_stream_goes_with_its_neighbours_and_with_no_other_camera_or_view() -> None:
    def found(name: str) -> str:
        return group_of(NormalSource(id=name, camera="c1", uri=""))

    assert found("c1/17/40") == found("c1/17/43")
    assert len({found(name) for name in ("c1/17/40", "c1/17/44", "c2/17/40", "c1/18/40")}) == 4
    assert found("part-0393-top.png") != found("part-0393-left.png")
    assert found("lid.png") == "lid.png"


def named(names: Sequence[str]) -> list[tuple[NormalSource, Pictures]]:
    return [
        (NormalSource(id=name, uri=""), picture)
        for name, (_, picture) in zip(names, frames(len(names)), strict=True)
    ]


@pytest.mark.parametrize("start", [0, 3, 17, 390, 393, 1001])
@pytest.mark.parametrize("views", [1, 2, 3])
def test_enough_is_held_out_and_left_however_files_are_named(start: int, views: int) -> None:
    for count in (24, 30, 51, 60):
        names = [
            f"part-{start + at // views:04}-{['top', 'left', 'right'][at % views]}.png" for at in range(count)
        ]
        held_out = make_snapshot(named(names)).held_out
        assert LEAST_HELD_OUT <= held_out.sum() <= count - LEAST_HELD_OUT


def test_a_folder_whose_names_tell_nothing_is_held_out_frame_by_frame() -> None:
    names = [f"{'abcdefghij'[at % 10]}{chr(97 + at // 10)}.png" for at in range(80)]
    assert LEAST_HELD_OUT <= make_snapshot(named(names)).held_out.sum() <= 40


@pytest.mark.parametrize("seed", range(20))
def test_nothing_that_was_trained_on_is_held_out_as_the_stream_goes_on(seed: int) -> None:
    rng = np.random.default_rng(seed)
    numbers = rng.permutation(600)
    everything = named([f"c{number % 2}/1772366400/{number}" for number in numbers])
    trained: set[str] = set()
    for count in (24, 30, 40, 80, 200, 600):
        snapshot = make_snapshot(everything[:count])
        assert not trained & snapshot.held_out_ids()
        trained |= {source.id for source in snapshot.sources} - snapshot.held_out_ids()


def test_a_product_whose_live_model_held_out_by_pixels_goes_on_so() -> None:
    snapshot, live = make_snapshot(frames(80)), a_model(1)
    assert held_out_as_live(snapshot, None) is snapshot
    groups = live.model_copy(update={"lineage": {HELD_OUT_BY: "groups"}})
    assert held_out_as_live(snapshot, groups) is snapshot
    as_before = held_out_as_live(snapshot, live)
    assert as_before.held_out_by == "pixels"
    np.testing.assert_array_equal(as_before.held_out, split(snapshot.pictures))


def test_a_snapshot_of_an_earlier_release_keeps_its_sides() -> None:
    snapshot = make_snapshot(frames(80))
    earlier = replace(snapshot, held_out_by="pixels", held_out=split(snapshot.pictures))
    assert b"held_out_by" not in earlier.pack()
    again = unpack(earlier.pack())
    assert again.held_out_by == "pixels"
    np.testing.assert_array_equal(again.held_out, split(snapshot.pictures))
    assert (again.held_out != snapshot.held_out).any()


def test_a_frame_that_training_saw_is_never_held_out_later() -> None:
    def trained(snapshot: Snapshot) -> set[str]:
        return {source.id for source in snapshot.sources} - snapshot.held_out_ids()

    small, large = make_snapshot(frames(40)), make_snapshot(frames(400))
    assert not trained(small) & large.held_out_ids()


def test_equal_pictures_count_once() -> None:
    doubled = [*frames(30), *((NormalSource(id=f"copy-{s.id}", uri=s.uri), p) for s, p in frames(30))]
    assert len(make_snapshot(doubled).sources) == 30


def test_too_few_normals_are_said_with_the_number_needed() -> None:
    with pytest.raises(InvalidConfiguration, match="23 different normal frames are too few"):
        make_snapshot(frames(23))


@pytest.mark.parametrize("cut", [0, 10, -1])
def test_a_damaged_snapshot_is_refused(cut: int) -> None:
    with pytest.raises(PackageRejected, match="snapshot"):
        unpack(make_snapshot(frames(30)).pack()[:cut])


SHAPES = [(-1, 8, 8, 1), (30, 4, 16, 1), (30, 8, 4, 2), (30, 64, 1, 1), (0, 8, 8, 1), (30, -1, 8, 1)]


@pytest.mark.parametrize("shape", SHAPES)
def test_a_snapshot_of_no_possible_shape_is_refused(shape: tuple[int, int, int, int]) -> None:
    whole = make_snapshot(frames(30)).pack()
    forged = whole.replace(b'"shape":[30,8,8,1]', f'"shape":{list(shape)}'.encode())
    assert forged != whole
    with pytest.raises(PackageRejected, match="snapshot"):
        unpack(forged)


def test_held_out_normals_are_runs_of_neighbours_and_a_fifth_of_all() -> None:
    for count in (24, 41, 100, 1001):
        first, second = held_out_runs(count)
        for block in (first, second):
            assert (np.diff(block) == 1).all()
        assert not set(first) & set(second)
        assert len(first) + len(second) >= max(8, count // 5)
        assert len(first) + len(second) <= count // 2
