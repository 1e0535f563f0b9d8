"""A correction is the same table everywhere, is undone as far as 8 bits allow, and lengthens no
certificate.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steadyline.correction import IDENTITY, Correction, CorrectionTables, corrected, tables_of, uncorrected

gains = st.floats(0.25, 4)
offsets = st.floats(-200, 200)
slopes = st.just(()) | st.tuples(st.floats(-0.5, 0.5), st.floats(-0.5, 0.5))
affine = st.builds(lambda gain, offset, slope: Correction((gain,), (offset,), slope), gains, offsets, slopes)
seeds = st.integers(0, 1000)


def a_picture(seed: int, channels: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (9, 12, channels), np.uint8)


@given(seeds)
def test_no_correction_leaves_every_picture_as_it_is(seed: int) -> None:
    picture = a_picture(seed)
    tables = CorrectionTables(IDENTITY, picture.shape)
    np.testing.assert_array_equal(tables.apply(picture), picture)
    np.testing.assert_array_equal(tables.undo(picture), picture)
    assert tables.clipped(picture) == 0


@given(seeds, gains, offsets)
def test_an_affine_is_the_rounded_line_cut_at_black_and_white(seed: int, gain: float, offset: float) -> None:
    picture = a_picture(seed)
    line = gain * picture.astype(np.float64) + offset
    tables = CorrectionTables(Correction((gain,), (offset,)), picture.shape)
    np.testing.assert_array_equal(tables.apply(picture), np.floor(np.clip(line, 0, 255) + 0.5))
    assert tables.clipped(picture) == ((line < -0.5) | (line >= 255.5)).sum()


@given(affine, seeds, st.integers(0, 255))
def test_a_frame_that_changes_within_the_native_margin_changes_no_pixel_beyond_the_margin(
    correction: Correction, seed: int, margin: int
) -> None:
    picture = a_picture(seed)
    tables = CorrectionTables(correction, picture.shape)
    native = tables.native_margin(margin)
    assert 0 <= native <= margin
    change = np.random.default_rng(seed).integers(-native, native + 1, picture.shape)
    changed = np.clip(picture.astype(int) + change, 0, 255).astype(np.uint8)
    moved = tables.apply(changed).astype(int) - tables.apply(picture)
    assert np.abs(moved).max() <= margin


@given(affine)
def test_the_margin_is_at_least_what_the_steepest_gain_leaves_of_it(correction: Correction) -> None:
    tables = CorrectionTables(correction, (9, 12, 1))
    steepest = correction.gains[0] * np.exp(sum(abs(slope) for slope in correction.slopes))
    for margin in (0, 1, 7, 40):
        assert tables.native_margin(margin) >= int(margin / max(steepest, 1) - 1e-9)


def test_a_frame_without_a_certified_margin_has_none_behind_a_brightening_either() -> None:
    assert tables_of(Correction((2.0,), (0.0,)), (8, 8, 1)).native_margin(1) == 0
    assert tables_of(Correction((2.0,), (0.0,)), (8, 8, 1)).native_margin(5) == 2
    assert tables_of(Correction((0.5,), (0.0,)), (8, 8, 1)).native_margin(5) == 5, "never more than is proven"


@pytest.mark.parametrize(
    "correction", [Correction((1.6,), (-12.0,)), Correction((1.5,), (-40.0,), (0.2, -0.1))]
)
def test_what_a_brightening_correction_undoes_it_brings_back_within_a_step_or_two(
    correction: Correction,
) -> None:
    picture = np.clip(a_picture(3), 60, 190)
    there_and_back = corrected(correction, uncorrected(correction, picture[None]))[0]
    assert np.abs(there_and_back.astype(int) - picture).max() <= 2


def test_each_channel_may_have_a_gain_of_its_own() -> None:
    picture = np.full((8, 8, 3), 100, np.uint8)
    found = corrected(Correction((0.5, 1.0, 1.5), (1.0, 0.0, -1.0)), picture[None])[0]
    assert found[0, 0].tolist() == [51, 100, 149]
