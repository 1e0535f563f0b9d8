"""The grid of a model for pictures that nobody has named one for."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from steadyline.errors import InvalidConfiguration
from steadyline.grid_choice import grid_of


@pytest.mark.parametrize(
    ("shape", "grid"),
    [((16, 16), "64x64"), ((96, 96), "96x96"), ((300, 300), "256x256"), ((1000, 2500), "160x400")],
)
def test_the_grid_keeps_the_proportions_of_the_frames_within_a_budget(
    tmp_path: Path, shape: tuple[int, int], grid: str
) -> None:
    for index in range(3):
        Image.fromarray(np.full(shape, index, np.uint8)).save(tmp_path / f"{index}.png")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    assert str(grid_of(sorted(tmp_path.iterdir()))) == grid


def test_a_folder_of_which_nothing_can_be_read_has_no_grid(tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no picture")
    with pytest.raises(InvalidConfiguration, match="none of the pictures can be read"):
        grid_of(sorted(tmp_path.iterdir()))


def test_no_picture_has_no_grid() -> None:
    with pytest.raises(InvalidConfiguration, match="none of the pictures can be read"):
        grid_of([])
