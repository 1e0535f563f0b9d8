"""Every frame becomes the model's input in one way."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from steadyline.prepare import prepare, resize, resize_weights


def a_picture(*shape: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


@pytest.mark.parametrize("shape", [(300, 300, 1), (113, 632, 1), (65, 64, 3), (40, 30, 1), (1, 7, 3)])
def test_the_resize_is_torchs_antialiased_bilinear(shape: tuple[int, int, int]) -> None:
    picture = a_picture(*shape).astype(np.float32)
    ours = resize(picture, 64)
    torchs = torch.nn.functional.interpolate(
        torch.from_numpy(picture).permute(2, 0, 1)[None], size=(64, 64), mode="bilinear", antialias=True
    )
    np.testing.assert_allclose(ours, torchs[0].permute(1, 2, 0).numpy(), atol=2e-3)


def test_the_same_bits_come_out_on_every_machine() -> None:
    """Single float32 products, summed in one order: a library of matrices sums as it likes."""
    picture = a_picture(300, 64, 1)
    weights = resize_weights(300, 64)
    ours = resize(picture, 64)
    for row in range(64):
        total = np.float32(0)
        for place in range(300):
            total += np.float32(picture[place, 5, 0]) * weights[row, place]
        assert ours[row, 5, 0] == total


def test_pillow_agrees_up_to_its_rounding() -> None:
    picture = a_picture(300, 250, 3)
    pillows = np.asarray(Image.fromarray(picture).resize((96, 96), Image.Resampling.BILINEAR))
    assert np.abs(prepare(picture, 96, "rgb").astype(int) - pillows).max() <= 1


def test_no_output_changes_by_more_than_the_picture() -> None:
    weights = resize_weights(300, 64)
    assert weights.min() >= 0
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-6)


def test_a_picture_of_the_right_size_is_left_as_it_is() -> None:
    picture = a_picture(64, 64)
    np.testing.assert_array_equal(prepare(picture, 64, "gray")[..., 0], picture)


def test_channels_are_converted_as_asked() -> None:
    assert prepare(a_picture(80, 90), 64, "rgb").shape == (64, 64, 3)
    grey = prepare(a_picture(64, 64, 3), 64, "gray")
    pillows = np.asarray(Image.fromarray(a_picture(64, 64, 3)).convert("L"))
    assert np.abs(grey[..., 0].astype(int) - pillows).max() <= 1


def test_the_cached_weights_cannot_be_spoiled() -> None:
    with pytest.raises(ValueError, match="read-only"):
        resize_weights(300, 64)[0, 0] = 1


@pytest.mark.parametrize(
    "picture", [np.zeros((4, 4), np.float32), np.zeros((4, 4, 4), np.uint8), np.zeros((0, 4), np.uint8)]
)
def test_something_that_is_no_picture_is_refused(picture: NDArray[np.uint8]) -> None:
    with pytest.raises(ValueError, match="picture"):
        prepare(picture, 64, "gray")
