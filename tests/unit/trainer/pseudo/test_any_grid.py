"""Pseudo-anomalies of pictures of any proportions: no transform stretches, leaves out or outgrows a side."""

import numpy as np
import pytest

from steadyline.grid import Grid
from trainer.pseudo import bank
from trainer.pseudo.acceptance import cell_features, cell_side
from trainer.pseudo.bank import make_bank, room_for
from trainer.pseudo.canvas import Canvas, smooth_noise
from trainer.pseudo.kinds import LOCAL_BANK, TRANSFORMS

GRIDS = [Grid(96, 32), Grid(16, 80), Grid(40, 56)]
DRAWS = 12


def a_pair(grid: Grid, channels: int = 1) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.random.default_rng(1).uniform(0, 1, (2, *grid, channels)).astype(np.float32)


@pytest.mark.parametrize("grid", GRIDS, ids=str)
@pytest.mark.parametrize("name", TRANSFORMS)
def test_every_transform_changes_a_picture_of_any_grid_and_keeps_its_shape(name: str, grid: Grid) -> None:
    picture, donor = a_pair(grid, 3)
    transform, changed = TRANSFORMS[name], np.zeros(grid, np.bool_)
    for number in range(DRAWS):
        parameters = transform.draw(np.random.default_rng(number))
        found = transform.apply(picture, donor, parameters)
        assert found.shape == picture.shape
        assert found.min() >= 0
        assert found.max() <= 1
        changed |= (found != picture).any(axis=2)
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    assert rows.max() - rows.min() > grid.height // 3
    assert columns.max() - columns.min() > grid.width // 3


def test_a_canvas_and_its_noise_are_as_fine_along_both_sides() -> None:
    canvas = Canvas(Grid(32, 96))
    assert (canvas.height, canvas.width, canvas.side) == (256, 768, 256)
    assert canvas.alpha(0).shape == (32, 96)
    noise = smooth_noise(np.random.default_rng(0), Grid(32, 96), 8)
    down, across = (float(np.abs(np.diff(noise, axis=axis)).mean()) for axis in (0, 1))
    assert 0.6 < down / across < 1.6


@pytest.mark.parametrize(("shape", "cells"), [((64, 64), 256), ((512, 208), 260), ((16, 4096), 256)])
def test_cells_are_squares_and_about_as_many_in_every_grid(shape: tuple[int, int], cells: int) -> None:
    assert len(cell_features(np.zeros((*shape, 1), np.float32))) == pytest.approx(cells, rel=0.1)
    assert cell_side(*shape) ** 2 * cells <= shape[0] * shape[1] * 1.1


def test_a_bank_of_a_grid_that_is_no_square_has_its_pictures_and_masks() -> None:
    normals = (a_pair(Grid(48, 32)) * 20 + 100).astype(np.uint8)
    normals = np.concatenate([normals + np.uint8(n) for n in range(5)])
    made = make_bank(normals, LOCAL_BANK, 0)
    assert made.per_normal == LOCAL_BANK.per_normal
    assert {anomaly.picture.shape for anomaly in made.anomalies} == {(48, 32, 1)}
    assert {anomaly.mask.shape for anomaly in made.anomalies} == {(48, 32)}


def test_a_bank_of_large_pictures_is_no_larger_than_its_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    normals, sides = np.zeros((10, 8, 8, 1), np.uint8), (np.arange(8), np.arange(8, 10))
    one = 8 * 8 * 2
    for room, wanted in ((1000, (16, 10)), (45, (4, 10)), (10, (1, 10)), (5, (1, 5))):
        monkeypatch.setattr(bank, "MOST_BYTES", room * one)
        per_normal, sources = room_for(normals, 16, sides)
        assert (per_normal, len(sources)) == wanted
        assert any(source >= 8 for source in sources), "held-out normals have some too"
