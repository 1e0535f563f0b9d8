"""A grid says height and width, is chosen to keep the frames' proportions, and tells how far it is off."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steadyline.errors import InvalidConfiguration
from steadyline.grid import MOST_GRID_PIXELS, MULTIPLE, Grid, grid_for, grid_option, parse_grid

SIDES = st.integers(16, 4096)


@given(SIDES, SIDES)
def test_what_a_grid_writes_it_reads_again(height: int, width: int) -> None:
    grid = Grid(height, width)
    if grid.pixels <= MOST_GRID_PIXELS:
        assert Grid.parse(str(grid)) == parse_grid([height, width]) == grid
        assert Grid.of(grid.height, grid.told_width) == grid
    else:
        with pytest.raises(ValueError, match="are the most"):
            Grid.parse(str(grid))


@pytest.mark.parametrize(
    "text", ["", "512", "512x", "x208", "512 x 208", "512X208", "-5x20", "8x512", "1e3x9", "٣٢x٣٢"]
)
def test_what_names_no_grid_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="grid"):
        Grid.parse(text)


@pytest.mark.parametrize("value", [5, None, [512], [512, 208, 1], [512.0, 208], [True, 208], {"height": 512}])
def test_a_line_file_gives_text_or_both_sides(value: object) -> None:
    with pytest.raises(ValueError, match="HEIGHTxWIDTH"):
        parse_grid(value)


def test_an_option_takes_the_side_of_a_square_too_and_is_named_in_its_error() -> None:
    assert grid_option("--size", "96") == Grid.square(96)
    assert grid_option("--size", "96x48") == Grid(96, 48)
    with pytest.raises(InvalidConfiguration, match="--size: "):
        grid_option("--size", "wide")


def test_messages_tell_the_width_only_where_it_is_not_the_height() -> None:
    assert Grid.square(64).told_width is None
    assert Grid(64, 32).told_width == 32


@pytest.mark.parametrize(
    ("pixels", "frame", "wanted"),
    [
        (4096, (300, 300), Grid(64, 64)),
        (4096, (480, 640), Grid(48, 64)),
        (100_000, (1250, 500), Grid(480, 192)),
        (262_144, (256, 4096), Grid(128, 2048)),
        (1 << 20, (2048, 2448), Grid(896, 1072)),
        (256, (300, 300), Grid(16, 16)),
        (1 << 30, (3000, 3000), Grid(2048, 2048)),
    ],
)
def test_the_chosen_grid_keeps_the_proportions_within_the_pixels(
    pixels: int, frame: tuple[int, int], wanted: Grid
) -> None:
    assert grid_for(pixels, [frame]) == wanted


@given(st.integers(256, 1 << 23), st.integers(1, 65_535), st.integers(1, 65_535))
def test_any_number_of_pixels_and_any_frame_give_a_grid_that_a_model_may_take(
    pixels: int, height: int, width: int
) -> None:
    grid = grid_for(pixels, [(height, width)])
    grid.check()
    assert grid.pixels <= min(pixels, MOST_GRID_PIXELS)
    assert grid.height % MULTIPLE == grid.width % MULTIPLE == 0


def test_the_median_of_the_frames_counts() -> None:
    assert grid_for(1 << 16, [(300, 300), (300, 300), (100, 2000)]) == Grid(256, 256)


@pytest.mark.parametrize(("pixels", "frames"), [(255, [(9, 9)]), (4096, [])])
def test_no_grid_can_be_chosen_without_pixels_or_frames(pixels: int, frames: list[tuple[int, int]]) -> None:
    with pytest.raises(InvalidConfiguration, match="no grid"):
        grid_for(pixels, frames)


def test_the_distortion_is_the_larger_stretch_whichever_side_it_is_along() -> None:
    assert Grid(64, 64).distortion(480, 640) == Grid(64, 64).distortion(640, 480) == pytest.approx(4 / 3)
    assert Grid(48, 64).distortion(480, 640) == 1


def test_a_distorting_grid_is_told_with_one_that_is_better() -> None:
    assert Grid.square(64).note([(480, 640)]) == (
        "frames of 480 x 640 pixels (height x width) are stretched 1.33 times to the grid 64x64; the grid "
        "48x64 keeps their proportions"
    )
    assert Grid.square(64).note([(300, 330)]) is None
    assert Grid.square(64).note([]) is None
