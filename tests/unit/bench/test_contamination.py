"""The bench of contamination: what is trained on is not what is measured on, and holds the share it says."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.command import run_main
from bench.contamination.cli import main
from bench.contamination.frames import DEFECT, drawn_from, mixed
from steadyline.errors import InvalidConfiguration
from steadyline.grid import Grid
from steadyline.service import EXIT_USAGE
from trainer.data.mvtec import Preparation


def a_set(folder: Path) -> Path:
    """Write twelve normals, four good test pictures and eight defects, each of a grey of its own."""
    grey = iter(range(10, 250, 10))
    for place, count in (("train/good", 12), ("test/good", 4), ("test/spot", 8)):
        (folder / place).mkdir(parents=True)
        for number in range(count):
            Image.new("L", (16, 16), next(grey)).save(folder / place / f"{number:02}.png")
    return folder


def test_defects_among_the_normals_are_never_measured_on(tmp_path: Path) -> None:
    how = Preparation(Grid.square(16), "gray")
    drawn = drawn_from(a_set(tmp_path), how, np.random.default_rng(0))
    assert drawn.anomalous.sum() == len(drawn.defects) == 4
    mixed_in, measured = {int(one.max()) for one in drawn.defects}, {int(one.max()) for one in drawn.test}
    assert not mixed_in & measured
    frames = mixed(drawn, 10, 3)
    assert len(frames) == 10
    assert sum(source.id.startswith(DEFECT) for source, _ in frames) == 3
    with pytest.raises(InvalidConfiguration, match="4 defective pictures to mix in"):
        mixed(drawn, 10, 5)


def test_a_folder_that_is_no_set_is_told_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_main(main, ["--data", str(tmp_path / "none")]) == EXIT_USAGE
    assert "none" in capsys.readouterr().err
