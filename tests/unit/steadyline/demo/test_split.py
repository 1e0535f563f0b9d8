"""The demonstration never trains on what it streams or judges by."""

from pathlib import Path

import pytest

from steadyline.demo.plan import CAMERAS, DemoPlan
from steadyline.demo.split import add_normals, lay_out, split_dataset
from steadyline.errors import InvalidConfiguration


def a_dataset(folder: Path, normals: int = 40, good: int = 20, defective: int = 20) -> Path:
    for label, count in (("train/good", normals), ("test/good", good), ("test/crack", defective)):
        (folder / label).mkdir(parents=True)
        for index in range(count):
            (folder / label / f"{label.replace('/', '-')}-{index}.png").write_bytes(b"png")
    return folder


def test_the_same_seed_gives_the_same_split(tmp_path: Path) -> None:
    dataset = a_dataset(tmp_path / "set")
    assert split_dataset(dataset, 25) == split_dataset(dataset, 25)


def test_no_frame_is_used_twice(tmp_path: Path) -> None:
    split = split_dataset(a_dataset(tmp_path / "set"), 25)
    used = [*split.first, *split.more, *(path for _, path in split.held_out)]
    for paths in split.streams.values():
        used += paths
    assert len(used) == len(set(used))
    assert len(split.first) == 25
    assert set(split.streams) == set(CAMERAS)


def test_the_second_training_gets_the_normals_that_were_kept_back(tmp_path: Path) -> None:
    plan = DemoPlan(home=tmp_path / "demo")
    split = split_dataset(a_dataset(tmp_path / "set"), 25)
    lay_out(split, plan)
    folder = plan.normals / "train" / "good"
    assert len(list(folder.iterdir())) == 25
    assert add_normals(split, plan) == 15
    assert len(list(folder.iterdir())) == 40


def test_a_folder_that_is_not_in_mvtec_layout_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfiguration, match=r"train/good is missing"):
        split_dataset(tmp_path, 25)


def test_too_small_a_set_says_how_many_it_needs(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfiguration, match="at least 20, 6 and 6"):
        split_dataset(a_dataset(tmp_path / "set", normals=5), 25)
