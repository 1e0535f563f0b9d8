"""A folder in MVTec layout is read, or says exactly what is wrong with it."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from steadyline.errors import InvalidConfiguration
from steadyline.grid import Grid
from steadyline.picture import PictureLimits
from tests.support.parts import defective_parts, good_parts
from trainer.data.mvtec import Preparation, read_normals, read_test

GRAY = Preparation(Grid.square(32), channels="gray")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("train/good", "test/good", "test/scratch", "ground_truth/scratch"):
        (tmp_path / name).mkdir(parents=True)
    bad, masks = defective_parts(3, 64)
    for index, picture in enumerate(good_parts(4, 64)[..., 0]):
        Image.fromarray(picture).save(tmp_path / "train/good" / f"{index}.png")
    Image.fromarray(good_parts(1, 64, channels=3)[0]).save(tmp_path / "test/good/a.JPG", quality=95)
    for index in range(3):
        Image.fromarray(bad[index, ..., 0]).save(tmp_path / "test/scratch" / f"{index}.png")
        mask = Image.fromarray(masks[index].astype(np.uint8) * 255)
        if index < 2:
            mask.save(tmp_path / "ground_truth/scratch" / f"{index}_mask.png")
    (tmp_path / "test/good/notes.txt").write_text("not a picture")
    return tmp_path


def test_normals_come_prepared_in_order_of_their_names(folder: Path) -> None:
    pictures, names = read_normals(folder, GRAY)
    assert pictures.shape == (4, 32, 32, 1)
    assert names == ("0.png", "1.png", "2.png", "3.png")


def test_test_pictures_know_their_kind_and_where_the_defect_is(folder: Path) -> None:
    test = read_test(folder, GRAY)
    assert test.kinds == ("good", "scratch", "scratch", "scratch")
    assert test.anomalous.tolist() == [False, True, True, True]
    assert test.located.tolist() == [True, True, True, False]
    assert test.masks is not None
    assert not test.masks[0].any()
    assert 12 <= test.masks[1].sum() <= 30  # 8 x 8 pixels of 64, at half the size
    assert read_test(folder, Preparation(Grid.square(32), "rgb")).pictures.shape == (4, 32, 32, 3)


def test_without_ground_truth_there_are_no_masks(folder: Path) -> None:
    for path in (folder / "ground_truth/scratch").iterdir():
        path.unlink()
    assert read_test(folder, GRAY).masks is None


def test_a_missing_part_is_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidConfiguration, match=r"elsewhere/train/good is missing.*test/<defect>"):
        read_normals(tmp_path / "elsewhere", GRAY)
    for path in (folder / "test/scratch").iterdir():
        path.unlink()
    with pytest.raises(InvalidConfiguration, match=r"test/scratch has no \.png or \.jpg"):
        read_test(folder, GRAY)
    (folder / "test/scratch").rmdir()
    with pytest.raises(InvalidConfiguration, match=r"test has good: .*test/<defect>"):
        read_test(folder, GRAY)


def test_a_broken_picture_is_named_and_not_skipped(folder: Path) -> None:
    (folder / "test/good/b.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    with pytest.raises(InvalidConfiguration, match=r"b\.png: the PNG"):
        read_test(folder, GRAY)


def test_a_bomb_is_refused_before_it_is_decoded(folder: Path) -> None:
    small = Preparation(Grid.square(32), "gray", PictureLimits(max_bytes=1 << 20, max_pixels=1000))
    with pytest.raises(InvalidConfiguration, match="64 x 64 pixels, the limit is 1000"):
        read_normals(folder, small)
