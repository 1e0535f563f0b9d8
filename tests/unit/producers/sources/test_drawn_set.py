"""The folder of drawn parts: the trainer reads it, its masks are true, and nothing is written over."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from producers.cli import main
from producers.sources.address import SyntheticOptions
from producers.sources.drawn_set import DrawnCounts, write_drawn_set
from producers.sources.synthetic import render
from steadyline.errors import InvalidConfiguration

OPTIONS = SyntheticOptions(seed=2, size=48)
COUNTS = DrawnCounts(train_good=3, test_good=2, defective=6)


def test_each_picture_is_in_its_place_and_none_is_there_twice(tmp_path: Path) -> None:
    written = list(write_drawn_set(tmp_path, OPTIONS, COUNTS))
    assert len(written) == COUNTS.pictures == 11
    assert len(list((tmp_path / "train" / "good").iterdir())) == 3
    assert len(list((tmp_path / "test" / "good").iterdir())) == 2
    assert len({path.read_bytes() for path in written}) == 11


def test_each_defect_has_a_mask_where_the_part_is_not_as_it_should_be(tmp_path: Path) -> None:
    list(write_drawn_set(tmp_path, OPTIONS, COUNTS))
    masks = sorted(tmp_path.glob("ground_truth/*/*_mask.png"))
    assert len(masks) == 6
    good = np.asarray(render(OPTIONS.model_copy(update={"defect_rate": 0.0}), 1), dtype=float)
    for mask in masks:
        kind, name = mask.parent.name, mask.name.replace("_mask", "")
        bad = np.asarray(Image.open(tmp_path / "test" / kind / name), dtype=float)
        marked = np.asarray(Image.open(mask)) > 127
        assert marked.any()
        assert np.abs(bad - good)[marked].mean() > 2 * np.abs(bad - good)[~marked].mean()


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.png").write_bytes(b"1")
    with pytest.raises(InvalidConfiguration, match="it is not empty; name a new folder"):
        list(write_drawn_set(tmp_path, OPTIONS, COUNTS))
    assert [path.name for path in tmp_path.iterdir()] == ["mine.png"]


def test_the_command_says_what_it_wrote(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "parts"
    counts = ["--train-good", "2", "--test-good", "1", "--defective", "1", "--size", "32"]
    assert main(["draw", "--out", str(out), *counts]) == 0
    assert "2 normals to train on, 1 good and 1 defective to test on" in capsys.readouterr().out
    assert main(["draw", "--out", str(out), *counts]) == 2
    assert "it is not empty" in capsys.readouterr().err
