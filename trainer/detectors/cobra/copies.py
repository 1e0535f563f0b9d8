"""The shifted copies of a picture, one a class, which training tells apart and the score looks at too.

K = 2: the picture, and the same distorted. K = 4: both, and both turned by a quarter. CSI (Tack et al.,
NeurIPS 2020), which COBRA's head comes from, takes four turns; but the light augmentations here flip in both
directions, and two flips are half a turn: of the four only two can be told apart.
"""

from typing import Literal

import torch
from torch import Tensor

Classes = Literal[2, 4]
CLASSES: tuple[Classes, ...] = (2, 4)


def copies(x: Tensor, classes: Classes) -> list[Tensor]:
    """Return K pictures (B, C, S, S): as it is, distorted, and with K = 4 both of them turned.

    The distortion of the served graph is fixed and moves pixels only, so that an attack finds its gradient:
    two quarters swapped (the paper's cut-permute).
    """
    found = [x, permuted(x)]
    return found if classes == 2 else [*found, *(turned(copy) for copy in found)]


def permuted(x: Tensor) -> Tensor:
    """Return (B, C, S, S) with the first quarter and the last swapped."""
    half = x.shape[-1] // 2
    upper, lower = x[..., :half, :], x[..., half:, :]
    first = torch.cat([lower[..., half:], upper[..., half:]], dim=-1)
    last = torch.cat([lower[..., :half], upper[..., :half]], dim=-1)
    return torch.cat([first, last], dim=-2)


def turned(x: Tensor) -> Tensor:
    """Return (…, S, S) turned by a quarter, against the clock."""
    return x.transpose(-1, -2).flip(-2)


def with_turned(rows: Tensor) -> Tensor:
    """Return (2N, …, S, S): after each of the rows (N, …, S, S) the same turned."""
    return torch.stack([rows, turned(rows)], dim=1).flatten(0, 1)


def picked_with_turned(picked: Tensor, side: int) -> Tensor:
    """Return (2n, R): after each row of cell numbers (n, R) the numbers of the same cells once turned."""
    y, x = picked // side, picked % side
    return torch.stack([picked, (side - 1 - x) * side + y], dim=1).flatten(0, 1)


def signs(copy: int) -> tuple[int, int]:
    """Return what copy k is: +1 when distorted, +1 when turned, else -1 each."""
    return (1 if copy % 2 else -1), (1 if copy // 2 else -1)
