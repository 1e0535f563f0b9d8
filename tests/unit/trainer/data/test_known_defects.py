"""Known defects are read with their masks, and a folder that says something else is refused."""

from pathlib import Path

import numpy as np
import pytest

from steadyline.errors import InvalidConfiguration
from steadyline.grid import Grid
from steadyline.picture import encode_png
from tests.support.parts import defective_parts
from trainer.data.known_defects import read_known_defects
from trainer.data.mvtec import Preparation

HOW = Preparation(Grid.square(32), "gray")


def write(path: Path, pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_png(pixels))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    parts, masks = defective_parts(3)
    for index, (part, mask) in enumerate(zip(parts, masks, strict=True)):
        write(tmp_path / "crack" / f"{index}.png", part[..., 0])
        if index != 1:
            write(tmp_path / "masks" / "crack" / f"{index}_mask.png", mask.astype(np.uint8) * 255)
    return tmp_path


def test_pictures_come_with_the_masks_that_there_are(folder: Path) -> None:
    parts, masks = defective_parts(3)
    known = read_known_defects(folder, HOW)
    np.testing.assert_array_equal(known.pictures, parts)
    assert known.masks[1] is None
    np.testing.assert_array_equal(known.masks[0], masks[0])
    np.testing.assert_array_equal(known.masks[2], masks[2])


def test_pictures_may_lie_in_the_folder_itself(tmp_path: Path) -> None:
    parts, masks = defective_parts(1)
    write(tmp_path / "click.png", parts[0, ..., 0])
    write(tmp_path / "masks" / "click.png", masks[0].astype(np.uint8) * 255)
    known = read_known_defects(tmp_path, HOW)
    assert known.pictures.shape == (1, 32, 32, 1)
    np.testing.assert_array_equal(known.masks[0], masks[0])


def test_a_mask_of_no_picture_is_not_left_out_silently(folder: Path) -> None:
    (folder / "crack" / "0.png").unlink()
    with pytest.raises(InvalidConfiguration, match="mask of no picture"):
        read_known_defects(folder, HOW)


def test_an_empty_mask_is_refused(folder: Path) -> None:
    write(folder / "masks" / "crack" / "1_mask.png", np.zeros((32, 32), np.uint8))
    with pytest.raises(InvalidConfiguration, match="marks nothing"):
        read_known_defects(folder, HOW)


def test_good_parts_are_no_known_defects(folder: Path) -> None:
    (folder / "good").mkdir()
    with pytest.raises(InvalidConfiguration, match="holds good parts"):
        read_known_defects(folder, HOW)


def test_a_folder_without_pictures_is_explained(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfiguration, match=r"no \.png"):
        read_known_defects(tmp_path, HOW)
    with pytest.raises(InvalidConfiguration, match="not there"):
        read_known_defects(tmp_path / "nowhere", HOW)
