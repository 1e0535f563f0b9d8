"""The smaller picture that one half sees: the line's own resize, in numpy for training and in the graph."""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn
from typing_extensions import override

from steadyline.prepare import resize_weights
from trainer.arrays import Masks, Pictures, PseudoBank
from trainer.detector_protocol import FitInput
from trainer.detectors.recipe import SIDE_OF

_COVERED = 0.25  # a cell of a reduced mask is defective when this share of it is

Size = tuple[int, int]  # height, width


def reduced_size(height: int, width: int, side: int, most: int) -> Size:
    """Return the height and width at which a half sees pictures of (height, width).

    Where the longer side has at most ``most`` pixels the shorter one becomes about ``side``, and the other
    follows; both are multiples of SIDE_OF. Larger pictures, of which the bank holds crops, and any with a
    ``side`` of 0, are left as they are.
    """
    shorter = min(height, width)
    if not side or shorter <= side or max(height, width) > most:
        return height, width
    found = [max(SIDE_OF, round(length * side / shorter / SIDE_OF) * SIDE_OF) for length in (height, width)]
    return found[0], found[1]


class Reduce(nn.Module):
    """Resizes (B, C, H, W) in [0, 1] by the filter of ``steadyline.prepare``, one product for each axis."""

    rows: Tensor
    columns: Tensor

    def __init__(self, before: Size, after: Size) -> None:
        super().__init__()
        self._changes = before != after
        self.register_buffer("rows", _weights(before[0], after[0]), persistent=False)
        self.register_buffer("columns", _weights(before[1], after[1]).T.contiguous(), persistent=False)

    @override
    def forward(self, x: Tensor) -> Tensor:
        return self.rows @ x @ self.columns if self._changes else x


def reduced_input(given: FitInput, size: Size) -> FitInput:
    """Return the same training with pictures and bank at another size."""
    if given.normals.shape[1:3] == size:
        return given
    bank = given.bank
    masks = reduced_pictures((bank.masks[..., None] * np.uint8(255)), size)[..., 0] >= 255 * _COVERED
    return replace(
        given,
        normals=reduced_pictures(given.normals, size),
        bank=PseudoBank(reduced_pictures(bank.pictures, size), masks, bank.source, bank.transform),
    )


def kept_input(given: FitInput, kept: Masks) -> FitInput:
    """Return the same training with the normals (N,) that are ``kept``, and the bank of those alone."""
    place = np.cumsum(kept) - 1
    bank, rows = given.bank, np.flatnonzero(kept[given.bank.source])
    transforms = tuple(bank.transform[row] for row in rows) if bank.transform else ()
    corner = None if bank.corner is None else bank.corner[rows]
    own = PseudoBank(bank.pictures[rows], bank.masks[rows], place[bank.source[rows]], transforms, corner)
    return replace(given, normals=given.normals[kept], bank=own)


def reduced_pictures(pictures: Pictures, size: Size) -> Pictures:
    """Return pictures (N, H, W, C) uint8 at another size, rounded as a frame is."""
    rows, columns = (
        resize_weights(before, after).astype(np.float64)
        for before, after in zip(pictures.shape[1:3], size, strict=True)
    )
    found = np.empty((len(pictures), *size, pictures.shape[3]), np.uint8)
    for place, picture in enumerate(pictures):
        planes = picture.transpose(2, 0, 1).astype(np.float64)
        exact = rows @ planes @ columns.T
        found[place] = np.floor(exact.transpose(1, 2, 0) + 0.5)
    return found


def _weights(before: int, after: int) -> Tensor:
    return torch.from_numpy(np.array(resize_weights(before, after), np.float32))
