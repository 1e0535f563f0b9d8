"""Attacks at the camera's pixels go through the same resize as every frame."""

import numpy as np
import torch
from torch import Tensor

from steadyline.grid import Grid
from steadyline.prepare import prepare
from trainer.evaluation.attacks import Pgd
from trainer.evaluation.native import Native, attack_native

SIDE = 16


def pictures(*shapes: tuple[int, int]) -> list[np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (*shape, 1), dtype=np.uint8) for shape in shapes]


def brightness(x: Tensor) -> Tensor:
    return x.mean((1, 2, 3))


def test_pictures_of_every_size_are_resized_as_the_line_resizes_them() -> None:
    mixed = pictures((40, 60), (16, 16), (60, 40), (33, 47))
    found = Native(mixed, Grid.square(SIDE)).resized()
    due = np.stack([prepare(picture, Grid.square(SIDE), "gray") for picture in mixed]).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(found.numpy() * 255, due, atol=0.501)


def test_each_picture_moves_in_its_own_direction_by_no_more_than_epsilon() -> None:
    mixed = pictures((40, 60), (20, 20), (60, 40), (33, 47))
    direction = torch.tensor([1.0, -1.0, 1.0, -1.0])
    native = Native(mixed, Grid.square(SIDE))
    clean = native.resized()
    hit = attack_native(Pgd(8 / 255, 5), lambda x, places: brightness(x) * direction[places], native)
    assert bool(((brightness(hit) - brightness(clean)) * direction > 4 / 255).all())
    assert float((hit - clean).abs().max()) <= 8 / 255 + 1e-6
