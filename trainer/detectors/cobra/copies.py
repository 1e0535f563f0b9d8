"""The K shifted copies of a picture: each is a class of its own, in training and in the score.

With K = 2 the copies are the picture and the distorted picture. With K = 4 both are also turned by a quarter.
CSI (Tack et al., NeurIPS 2020), where COBRA's head comes from, takes four turns. Here the light augmentations
flip in both directions, and two flips are half a turn, so only two of the four turns can be told apart.
"""

from typing import Literal

import torch
from torch import Tensor

Classes = Literal[2, 4]
CLASSES: tuple[Classes, ...] = (2, 4)


def copies(x: Tensor, classes: Classes) -> list[Tensor]:
    """Return K pictures (B, C, S, S): the picture, the distorted one, and with K = 4 both of them turned.

    The served distortion is fixed and only moves pixels, so that an attack finds its gradient: two quarters
    are swapped (the paper's cut-permute).
    """
    found = [x, permuted(x)]
    return found if classes == 2 else [*found, *(turned(copy) for copy in found)]


def permuted(x: Tensor) -> Tensor:
    """Return (B, C, S, S) with the first and the last quarter swapped."""
    down, half = (side // 2 for side in x.shape[-2:])
    upper, lower = x[..., :down, :], x[..., down:, :]
    first = torch.cat([lower[..., half:], upper[..., half:]], dim=-1)
    last = torch.cat([lower[..., :half], upper[..., :half]], dim=-1)
    return torch.cat([first, last], dim=-2)


def turned(x: Tensor) -> Tensor:
    """Return (…, S, S) turned by a quarter counterclockwise."""
    return x.transpose(-1, -2).flip(-2)


def with_turned(rows: Tensor) -> Tensor:
    """Return (2N, …, S, S): each of the rows (N, …, S, S), followed by itself turned."""
    return torch.stack([rows, turned(rows)], dim=1).flatten(0, 1)


def picked_with_turned(picked: Tensor, side: int) -> Tensor:
    """Return (2n, R): each row of cell numbers (n, R), then the same cells' numbers after a turn."""
    y, x = picked // side, picked % side
    return torch.stack([picked, (side - 1 - x) * side + y], dim=1).flatten(0, 1)


def signs(copy: int) -> tuple[int, int]:
    """Return two signs for the copy k: +1 when it is distorted, and +1 when it is turned, else -1."""
    return (1 if copy % 2 else -1), (1 if copy // 2 else -1)
