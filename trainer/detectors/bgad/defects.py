"""Find which cells of known defects are defective, and paste copies of the defects onto normal pictures."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor
from torch.nn import functional

from trainer.arrays import KnownDefects, Masks, Pictures
from trainer.learning.flips import FLIPS

# A cell is defective when the mask covers at least an eighth of it, as in the adversarial detectors.
_CELL_SHARE = 1 / 8
_GAIN = 0.15  # a pasted copy is at most this much darker or brighter than the normal under it


@dataclass(frozen=True, slots=True)
class Located:
    """Pictures (K, H, W, C) of defects, each with a mask (K, H, W) that is not empty."""

    pictures: Pictures
    masks: Masks


def locate(known: KnownDefects, anomaly_map: Tensor, region: float) -> Located:
    """Return known defects with a mask each; a missing or empty mask becomes the cells that score highest.

    ``anomaly_map`` (K, h, w) comes from a model that knows normals only. ``region`` is the share of its cells
    that such a mask covers.
    """
    cells = max(1, round(region * anomaly_map[0].numel()))
    level = anomaly_map.flatten(1).topk(cells, 1).values[:, -1, None, None]
    highest = (
        functional.interpolate((anomaly_map >= level)[:, None].float(), size=known.pictures.shape[1:3])[:, 0]
        > 0.5
    )
    masks = [
        guess if mask is None or not mask.any() else mask
        for mask, guess in zip(known.masks, highest.numpy(), strict=True)
    ]
    return Located(known.pictures, np.stack(masks))


def flipped(defects: Located) -> Located:
    """Return each defect in its four flips: (4 K, ...)."""
    pictures = [np.flip(defects.pictures, tuple(axis - 1 for axis in axes)) for axes in FLIPS]
    masks = [np.flip(defects.masks, axes) for axes in FLIPS]
    return Located(np.concatenate(pictures), np.concatenate(masks))


def pasted(normals: Pictures, defects: Located, count: int, seed: int) -> Located:
    """Return ``count`` normals, each with a defect pasted at a random place.

    The defect is turned and flipped at random, and brought to the brightness of the normal.
    """
    rng = np.random.default_rng([seed, len(normals), count])
    made = [
        _paste(normals[int(rng.integers(len(normals)))], defects, int(number % len(defects.masks)), rng)
        for number in range(count)
    ]
    return Located(np.stack([picture for picture, _ in made]), np.stack([mask for _, mask in made]))


def defective_cells(masks: Masks, size: tuple[int, int]) -> Tensor:
    """Return (K, cells) bool: the cells that the mask covers enough, and always the cell it covers most.

    ``size`` is how many rows and columns of cells there are.
    """
    covered = torch.from_numpy(np.ascontiguousarray(masks))[:, None].float()
    share = functional.adaptive_avg_pool2d(covered, size).flatten(1)
    return share >= share.amax(1, keepdim=True).clamp(max=_CELL_SHARE)


def _paste(normal: Pictures, defects: Located, index: int, rng: Generator) -> tuple[Pictures, Masks]:
    cut, shape = _cut(defects.pictures[index], defects.masks[index])
    light = float(normal.mean()) / max(float(defects.pictures[index].mean()), 1.0)
    piece = cut * (light * rng.uniform(1 - _GAIN, 1 + _GAIN))
    turns = int(rng.integers(4))
    if turns % 2 and (shape.shape[1] > normal.shape[0] or shape.shape[0] > normal.shape[1]):
        turns -= 1  # on its side it does not fit
    piece, shape = np.rot90(piece, turns), np.rot90(shape, turns)
    if rng.random() < 0.5:
        piece, shape = piece[:, ::-1], shape[:, ::-1]
    high, wide = shape.shape
    rooms = zip(normal.shape[:2], (high, wide), strict=True)
    top, left = (int(rng.integers(room - length + 1)) for room, length in rooms)
    picture, mask = normal.astype(np.float64), np.zeros(normal.shape[:2], bool)
    mask[top : top + high, left : left + wide] = shape
    picture[mask] = piece[shape]
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8), mask


def _cut(picture: Pictures, mask: Masks) -> tuple[Pictures, Masks]:
    """Cut out the smallest rectangle around the mask."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    window = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return picture[window], mask[window]
