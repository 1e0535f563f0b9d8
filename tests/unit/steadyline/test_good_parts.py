"""Which pictures of a folder are its good parts: the same for a new line and for a training."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from steadyline.errors import InvalidConfiguration
from steadyline.own_line.new_line import enough_good_parts
from steadyline.picture_folder import find_good_parts
from trainer.data.normals import folder_files


def pictures(folder: Path, count: int) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        Image.fromarray(np.full((16, 16), index, np.uint8)).save(folder / f"{index:03}.png")
    return folder


@pytest.mark.parametrize("place", [".", "train", "train/good"])
def test_a_line_is_written_for_the_pictures_that_its_training_takes(place: str, tmp_path: Path) -> None:
    good = pictures(tmp_path / "set" / place, 20)
    assert enough_good_parts(tmp_path / "set").folder == good
    assert folder_files(tmp_path / "set") == folder_files(good) == sorted(good.iterdir())


def test_what_lies_beside_a_data_set_is_not_trained_on_however_much_it_is(tmp_path: Path) -> None:
    good = pictures(tmp_path / "train" / "good", 20)
    pictures(tmp_path, 30)
    pictures(tmp_path / "train", 30)
    assert enough_good_parts(tmp_path).folder == good
    assert folder_files(tmp_path) == sorted(good.iterdir())


def test_an_empty_place_for_good_parts_hides_no_pictures(tmp_path: Path) -> None:
    pictures(tmp_path, 20)
    (tmp_path / "train" / "good").mkdir(parents=True)
    assert len(enough_good_parts(tmp_path).files) == len(folder_files(tmp_path)) == 20


def test_a_folder_without_pictures_is_named_by_whoever_needs_them(tmp_path: Path) -> None:
    assert not find_good_parts(tmp_path).files
    with pytest.raises(InvalidConfiguration, match=r"no \.png or \.jpg"):
        folder_files(tmp_path)


@pytest.mark.parametrize("name", ["nowhere", "x" * 300])
def test_a_folder_that_cannot_be_looked_at_is_a_mistake_of_its_name(name: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidConfiguration, match=name):
        find_good_parts(tmp_path / name)
