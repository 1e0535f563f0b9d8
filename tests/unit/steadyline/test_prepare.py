"""Every frame becomes the model's input in one way."""

import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from steadyline.digest import sha256
from steadyline.grid import Grid
from steadyline.prepare import WEIGHT_BITS, Channels, prepare, resize, resize_weights

SIDES = st.integers(1, 200)
GRIDS = [Grid(16, 16), Grid(64, 64), Grid(96, 40), Grid(16, 208)]


def a_picture(*shape: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


@pytest.mark.parametrize("shape", [(300, 300, 1), (113, 632, 1), (65, 64, 3), (40, 30, 1), (1, 7, 3)])
@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_the_resize_is_torchs_antialiased_bilinear(shape: tuple[int, int, int], grid: Grid) -> None:
    picture = a_picture(*shape)
    ours = resize(picture, grid)
    planes = torch.from_numpy(picture).permute(2, 0, 1)[None].float()
    torchs = torch.nn.functional.interpolate(planes, size=tuple(grid), mode="bilinear", antialias=True)
    np.testing.assert_allclose(ours, torchs[0].permute(1, 2, 0).numpy(), atol=2e-3)


@pytest.mark.parametrize("shape", [(300, 412), (412, 300), (40, 900)])
@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_the_resize_is_exact_in_whatever_order_it_is_summed(shape: tuple[int, int], grid: Grid) -> None:
    """So the same bits come out on every machine: whole numbers summed backwards give the same."""
    picture = a_picture(*shape)
    down, across = (
        (resize_weights(length, side) * 2.0**WEIGHT_BITS).astype(np.int64)
        for length, side in zip(shape, grid, strict=True)
    )
    backwards = down[:, ::-1] @ picture[::-1, ::-1].astype(np.int64) @ across[:, ::-1].T
    found = resize(picture[..., None], grid)[..., 0] * 4.0**WEIGHT_BITS
    np.testing.assert_array_equal(found.astype(np.int64), backwards)


def test_pillow_agrees_up_to_its_rounding() -> None:
    picture = a_picture(300, 250, 3)
    pillows = np.asarray(Image.fromarray(picture).resize((96, 96), Image.Resampling.BILINEAR))
    assert np.abs(prepare(picture, Grid.square(96), "rgb").astype(int) - pillows).max() <= 1


@pytest.mark.parametrize("length", [1, 7, 63, 64, 65, 113, 300, 632, 1080, 5000])
def test_weights_are_never_negative_and_sum_to_exactly_one(length: int) -> None:
    for size in (32, 64, 96):
        steps = resize_weights(length, size).astype(np.float64) * 2.0**WEIGHT_BITS
        assert steps.min() >= 0
        assert set(steps.sum(axis=1)) == {2.0**WEIGHT_BITS}


SIZES = st.one_of(st.sampled_from([(300, 300), (113, 632), (403, 245), (480, 640)]), st.tuples(SIDES, SIDES))


@pytest.mark.parametrize("kind", [(1, "gray"), (3, "gray"), (3, "rgb"), (1, "rgb")])
@given(shape=SIZES, seed=st.integers(0, 2**31), most=st.integers(0, 64), grid=st.sampled_from(GRIDS))
@settings(max_examples=25, deadline=None)
def test_no_pixel_of_the_input_moves_by_more_than_the_native_pixels(
    kind: tuple[int, Channels], shape: tuple[int, int], seed: int, most: int, grid: Grid
) -> None:
    (depth, channels), rng = kind, np.random.default_rng(seed)
    picture = rng.integers(0, 256, (*shape, depth))
    change = rng.integers(-most, most + 1, picture.shape)
    worst = np.where(rng.random(picture.shape) < 0.5, most * np.sign(change), change)
    changed = np.clip(picture + worst, 0, 255)
    before, after = (prepare(one.astype(np.uint8), grid, channels).astype(int) for one in (picture, changed))
    assert np.abs(after - before).max() <= most


@pytest.mark.parametrize("depth", [1, 3])
def test_more_light_everywhere_is_exactly_as_much_more_in_the_input(depth: int) -> None:
    picture = a_picture(113, 632, depth) // 2
    brighter = prepare(picture + np.uint8(100), Grid.square(64), "gray")
    np.testing.assert_array_equal(brighter, prepare(picture, Grid.square(64), "gray") + 100)


def test_a_brighter_pixel_makes_no_pixel_of_the_input_darker() -> None:
    picture = a_picture(200, 90, 3)
    brighter = np.maximum(picture, np.random.default_rng(1).integers(0, 256, picture.shape, np.uint8))
    assert (prepare(brighter, Grid.square(64), "gray") >= prepare(picture, Grid.square(64), "gray")).all()


def test_a_picture_of_the_right_size_is_left_as_it_is() -> None:
    picture = a_picture(64, 64)
    np.testing.assert_array_equal(prepare(picture, Grid.square(64), "gray")[..., 0], picture)


def test_channels_are_converted_as_asked() -> None:
    assert prepare(a_picture(80, 90), Grid.square(64), "rgb").shape == (64, 64, 3)
    grey = prepare(a_picture(64, 64, 3), Grid.square(64), "gray")
    pillows = np.asarray(Image.fromarray(a_picture(64, 64, 3)).convert("L"))
    np.testing.assert_array_equal(grey[..., 0], pillows)


# Inputs of earlier releases: (height, width, channels), size, channels of the input, start of the SHA-256.
GOLDEN = [
    ((300, 300, 1), 64, "gray", "3b63fdce1294f4a2"),
    ((300, 300, 3), 64, "rgb", "cbfd7e698de063ec"),
    ((113, 632, 1), 96, "gray", "6935c6a34adc2440"),
    ((632, 113, 3), 64, "gray", "4d644eceeabf928d"),
    ((1, 7, 3), 16, "rgb", "0105b49bfd777322"),
    ((1, 4000, 1), 64, "gray", "19fc33df54873ddd"),
    ((4000, 1, 3), 64, "rgb", "b1454d535f037638"),
    ((20, 2000, 1), 256, "gray", "e2e2ad4ec74a5e6d"),
    ((16, 17, 1), 16, "rgb", "c9f64949ef71ac46"),
    ((1080, 1920, 3), 64, "rgb", "6d5e22983604ce5b"),
]


@pytest.mark.parametrize(("shape", "size", "channels", "digest"), GOLDEN)
def test_the_input_is_that_of_every_release(
    shape: tuple[int, int, int], size: int, channels: Channels, digest: str
) -> None:
    picture = np.random.default_rng(7).integers(0, 256, shape, np.uint8)
    assert sha256(prepare(picture, Grid.square(size), channels).tobytes()).startswith(digest)


@pytest.mark.parametrize("sides", [(65_535, 256), (256, 65_535), (1, 256), (4096, 16), (5000, 8000)])
@pytest.mark.parametrize("size", [16, 1024])
def test_memory_follows_the_picture_and_the_input(sides: tuple[int, int], size: int) -> None:
    """The dense matrix of weights alone would be 65,535 x 1024 numbers of 64 bits, several times."""
    picture = np.zeros(sides, np.uint8)
    tracemalloc.start()
    try:
        prepare(picture, Grid.square(size), "gray")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 16 * picture.size + 64 * size * size + 300 * sum(sides)


@pytest.mark.parametrize(
    "picture", [np.zeros((4, 4), np.float32), np.zeros((4, 4, 4), np.uint8), np.zeros((0, 4), np.uint8)]
)
def test_something_that_is_no_picture_is_refused(picture: NDArray[np.uint8]) -> None:
    with pytest.raises(ValueError, match="picture"):
        prepare(picture, Grid.square(64), "gray")
