"""Attacks on the camera's own pixels: they go through the antialiased resize to the model's input.

Pictures of different sizes are attacked together: each is padded to the largest of its batch, and has two
resize matrices of its own, whose weights are zero on the padding. Rounding to 8 bits, on both sides of the
resize, is left out, because it would only stand in the attack's way.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from steadyline.grid import Grid
from steadyline.prepare import resize_weights
from trainer.arrays import Pictures
from trainer.evaluation.attacks import Attack, ReportDone

Objective = Callable[[Tensor, Tensor], Tensor]

BATCH = 32  # pictures attacked together: 32 of 300 x 300 floats are 12 MB
BATCH_PIXELS = 1 << 23  # of them all, so that a few of five megapixels do not fill the memory


@dataclass(frozen=True, slots=True)
class Native:
    """Pictures (H, W, C) uint8, each of its own size, and the grid of the model's input."""

    pictures: Sequence[Pictures]
    grid: Grid

    def part(self, index: Sequence[int]) -> "Native":
        """Return some of the pictures."""
        return Native([self.pictures[place] for place in index], self.grid)

    def batches(self) -> Iterator["NativeBatch"]:
        """Yield all pictures in batches of similar size."""
        order = sorted(range(len(self.pictures)), key=lambda place: self.pictures[place].shape)
        largest = max((picture.shape[0] * picture.shape[1] for picture in self.pictures), default=1)
        size = max(1, min(BATCH, BATCH_PIXELS // largest))
        for start in range(0, len(order), size):
            places = order[start : start + size]
            yield _batch([self.pictures[place] for place in places], places, self.grid)

    def resized(self) -> Tensor:
        """Return the pictures as the model gets them, (N, C, h, w), without the rounding."""
        return attack_native(_unchanged, lambda x, places: x[:, 0, 0, 0], self)


@dataclass(frozen=True, slots=True)
class NativeBatch:
    """A batch of padded pictures with their resize matrices.

    ``x`` is (B, C, H, W) in [0, 1], padded; ``down`` (B, 1, h, H) and ``across`` (B, 1, W, w) resize it;
    ``places`` says which pictures these are.
    """

    x: Tensor
    down: Tensor
    across: Tensor
    places: Tensor

    def resized(self, x: Tensor) -> Tensor:
        """Return ``x`` (B, C, H, W) resized to (B, C, h, w) as by ``steadyline.prepare``, but unrounded."""
        return self.down @ x @ self.across


def attack_native(
    attack: Attack, gain: Objective, native: Native, on_progress: ReportDone | None = None
) -> Tensor:
    """Return the attacked pictures as the model gets them, (N, C, h, w).

    ``gain`` gets resized pictures (B, C, h, w) and which ones they are (B,), and returns how far each is in
    the attack's favour.
    """
    found: list[Tensor] = []
    places: list[Tensor] = []
    done = 0
    for batch in native.batches():
        hit = attack(
            lambda x, batch=batch: gain(batch.resized(x), batch.places),  # type: ignore[misc]
            batch.x,
            torch.ones(len(batch.x)),
        )
        found.append(batch.resized(hit))
        places.append(batch.places)
        done += len(hit)
        if on_progress is not None:
            on_progress(done)
    return torch.cat(found)[torch.argsort(torch.cat(places))]


def _unchanged(score: Callable[[Tensor], Tensor], x: Tensor, direction: Tensor) -> Tensor:
    return x


def _batch(pictures: Sequence[Pictures], places: Sequence[int], grid: Grid) -> NativeBatch:
    height = max(picture.shape[0] for picture in pictures)
    width = max(picture.shape[1] for picture in pictures)
    channels = pictures[0].shape[2]
    x = np.zeros((len(pictures), channels, height, width), np.float32)
    down = np.zeros((len(pictures), 1, grid.height, height), np.float32)
    across = np.zeros((len(pictures), 1, width, grid.width), np.float32)
    for place, picture in enumerate(pictures):
        rows, columns = picture.shape[:2]
        x[place, :, :rows, :columns] = picture.transpose(2, 0, 1) / np.float32(255)
        down[place, 0, :, :rows] = resize_weights(rows, grid.height)
        across[place, 0, :columns] = resize_weights(columns, grid.width).T
    seen, above, beside = (torch.from_numpy(array) for array in (x, down, across))
    return NativeBatch(seen, above, beside, torch.tensor(places))
