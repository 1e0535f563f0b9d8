"""Masks mean the same however a tool writes them, and one that means nothing is named."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from structlog.testing import capture_logs

from steadyline.errors import InvalidConfiguration
from steadyline.grid import Grid
from trainer.data.mvtec import Preparation, read_test

HOW = Preparation(Grid.square(32), "gray")
DRAWN = np.zeros((64, 64), bool)
DRAWN[20:36, 10:40] = True
Draw = Callable[[NDArray[np.bool_]], Image.Image]


def of_levels(low: int, high: int, dtype: str = "uint8") -> Draw:
    return lambda drawn: Image.fromarray(np.where(drawn, high, low).astype(dtype))


def of_classes(drawn: NDArray[np.bool_]) -> Image.Image:
    """A number for each class of defect, 1 for its left half and 3 for its right."""
    return Image.fromarray((drawn * np.where(np.arange(64) < 25, 1, 3)).astype(np.uint8))


def with_colours(drawn: NDArray[np.bool_]) -> Image.Image:
    picture = Image.fromarray(drawn.astype(np.uint8), "P")
    picture.putpalette([0, 0, 0, 128, 0, 0])
    return picture


WAYS: dict[str, tuple[str, Draw]] = {
    "black and white": ("{}_mask.png", of_levels(0, 255)),
    "0 and 1": ("{}_mask.png", of_levels(0, 1)),
    "0 and 2": ("{}_mask.png", of_levels(0, 2)),
    "1 and 2": ("{}_mask.png", of_levels(1, 2)),
    "128 and 129": ("{}_mask.png", of_levels(128, 129)),
    "a class each": ("{}_mask.png", of_classes),
    "16 bits": ("{}_mask.png", of_levels(0, 65535, "uint16")),
    "one bit": ("{}_mask.png", lambda drawn: Image.fromarray(drawn)),
    "a palette": ("{}_mask.png", with_colours),
    "with transparency": ("{}_mask.png", lambda drawn: of_levels(0, 255)(drawn).convert("RGBA")),
    "a JPEG": ("{}_mask.jpg", of_levels(0, 255)),
    "another ending": ("{}_mask.PNG", of_levels(0, 255)),
    "no _mask": ("{}.jpeg", of_levels(0, 255)),
    "half its size": (
        "{}.png",
        lambda drawn: of_levels(0, 1)(drawn).resize((32, 32), Image.Resampling.NEAREST),
    ),
}


def a_set(folder: Path, name: str, draw: Draw) -> Path:
    rng = np.random.default_rng(0)
    for kind in ("test/good", "test/crack", "ground_truth/crack"):
        (folder / kind).mkdir(parents=True)
    for number in range(2):
        for kind in ("good", "crack"):
            picture = Image.fromarray(rng.integers(0, 256, (64, 64), np.uint8))
            picture.save(folder / "test" / kind / f"{number}.png")
        draw(DRAWN).save(folder / "ground_truth/crack" / name.format(number))
    return folder


@pytest.mark.parametrize(("name", "draw"), WAYS.values(), ids=WAYS.keys())
def test_a_mask_means_the_same_however_it_is_written(name: str, draw: Draw, tmp_path: Path) -> None:
    plain = read_test(a_set(tmp_path / "plain", "{}_mask.png", of_levels(0, 255)), HOW)
    other = read_test(a_set(tmp_path / "other", name, draw), HOW)
    assert plain.masks is not None
    assert other.masks is not None
    assert other.located.all()
    assert plain.masks[0].sum() == 8 * 15
    np.testing.assert_array_equal(other.masks, plain.masks)


@pytest.mark.parametrize("level", [0, 1, 255])
def test_a_mask_of_one_level_is_named(level: int, tmp_path: Path) -> None:
    with pytest.raises(
        InvalidConfiguration, match=rf"crack/0_mask\.png marks nothing.*all its pixels are {level}"
    ):
        read_test(a_set(tmp_path, "{}_mask.png", of_levels(level, level)), HOW)


def test_a_mask_of_another_shape_is_named(tmp_path: Path) -> None:
    folder = a_set(tmp_path, "{}_mask.png", lambda drawn: of_levels(0, 255)(drawn[:, :48]))
    with pytest.raises(InvalidConfiguration, match="48 x 64 pixels and its picture 64 x 64"):
        read_test(folder, HOW)


def test_a_defect_smaller_than_a_pixel_of_the_input_is_kept(tmp_path: Path) -> None:
    def dot(drawn: NDArray[np.bool_]) -> Image.Image:
        large = np.zeros((2048, 2048), np.uint8)
        large[1000, 700] = 1
        return Image.fromarray(large)

    test = read_test(a_set(tmp_path, "{}_mask.png", dot), HOW)
    assert test.masks is not None
    assert [tuple(place) for place in np.argwhere(test.masks[0])] == [(15, 10)]


def test_masks_without_a_picture_and_pictures_without_a_mask_are_named(tmp_path: Path) -> None:
    folder = a_set(tmp_path, "{}_mask.png", of_levels(0, 255))
    (folder / "ground_truth/crack/0_mask.png").rename(folder / "ground_truth/crack/other.png")
    (folder / "ground_truth/crack/1_mask.bmp").write_bytes(b"BM")
    with capture_logs() as lines:
        test = read_test(folder, HOW)
    assert test.located.tolist() == [False, True, True, True]
    told = {line["event"]: line for line in lines if line["log_level"] == "warning"}
    assert told["pictures_without_mask"]["as_in"].endswith("test/crack/0.png")
    assert told["masks_without_picture"]["as_in"].endswith("ground_truth/crack/other.png")
    assert told["masks_without_picture"]["rule"] == "that of 0.png is 0_mask.png or 0.png"
    assert any("1_mask.bmp" in str(line.get("left_out")) for line in lines)
