"""The labelled frames of a training come out of their file as they went in, and marks become masks."""

import numpy as np
import pytest

from steadyline.contracts.feedback import MarkedRegion
from steadyline.errors import PackageRejected
from steadyline.grid import Grid
from trainer.data.labelled_frames import LabelledFrames, LabelledSource, mask_of


def some_frames() -> LabelledFrames:
    mark = MarkedRegion(x=0.5, y=0, width=0.5, height=0.25)
    sources = [
        LabelledSource(frame="c1/7/3", camera="c1", label="defect", region=mark),
        LabelledSource(frame="c1/7/1", camera="c1", label="good"),
        LabelledSource(frame="c1/7/2", camera="c1", label="defect"),
    ]
    made = LabelledFrames.of([(source, np.full((8, 8, 1), n, np.uint8)) for n, source in enumerate(sources)])
    assert made is not None
    return made


def test_they_are_packed_by_frame_id_and_unpacked_the_same() -> None:
    frames = some_frames()
    again = LabelledFrames.unpack(frames.pack())
    assert [source.frame for source in again.sources] == ["c1/7/1", "c1/7/2", "c1/7/3"]
    assert again.sources == frames.sources
    np.testing.assert_array_equal(again.pictures, frames.pictures)
    assert again.is_defect.tolist() == [False, True, True]


def test_known_defects_have_the_mask_that_was_marked_or_none() -> None:
    known = some_frames().known_defects()
    assert known is not None
    assert known.pictures[:, 0, 0, 0].tolist() == [2, 0]
    first, second = known.masks
    assert first is None
    assert second is not None
    assert (second.sum(), second[0, 4], second[1, 7], second[2, 4]) == (8, True, True, False)


@pytest.mark.parametrize("at", [0.0, 0.3, 0.999, 1.0])
def test_a_mark_however_thin_touches_a_cell(at: float) -> None:
    region = MarkedRegion.model_construct(x=at, y=at, width=1e-9, height=1e-9)
    assert mask_of(region, Grid.square(8)).sum() == 1


def test_none_at_all_are_no_frames() -> None:
    assert LabelledFrames.of([]) is None
    goods = LabelledFrames.of(
        [(LabelledSource(frame="c1/7/1", camera="c1", label="good"), np.zeros((8, 8, 1), np.uint8))]
    )
    assert goods is not None
    assert goods.known_defects() is None


@pytest.mark.parametrize(
    "data", [b"", b"{}\n", b"{\n", some_frames().pack()[:-1], some_frames().pack() + b"x"]
)
def test_what_is_no_such_file_is_refused(data: bytes) -> None:
    with pytest.raises(PackageRejected):
        LabelledFrames.unpack(data)


def test_a_rectangle_is_marked_in_the_proportions_of_the_grid() -> None:
    mask = mask_of(MarkedRegion(x=0.5, y=0.25, width=0.5, height=0.25), Grid(32, 16))
    assert mask.shape == (32, 16)
    assert mask[8:16, 8:].all()
    assert mask.sum() == 8 * 8
