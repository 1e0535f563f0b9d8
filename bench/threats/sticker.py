"""A patch attack: a square of any content, where it does most harm, as a sticker or a spot of light would."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from trainer.evaluation.attacks import Score, rise, worst_of

_STEP, _MOMENTUM = 0.1, 0.75


@dataclass(frozen=True, slots=True)
class Sticker:
    """Covers ``share`` of the picture by one square (Brown et al. 2017, here one for each picture).

    It lies where a gradient is largest, in ``places`` places one after the other, the largest first; what is
    in it is found by ``steps`` of signed gradients from mid grey.
    """

    share: float
    steps: int
    places: int = 3

    def __call__(self, score: Score, x: Tensor, direction: Tensor) -> Tensor:
        """See Attack."""
        return worst_of(x, self._iterates(score, x, direction))

    def _iterates(self, score: Score, x: Tensor, direction: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        value, gradient = rise(score, x, direction)
        yield x.clone(), value
        for covered in self._covered(gradient):
            content, moving = torch.full_like(x, 0.5), torch.zeros_like(x)
            for _ in range(self.steps):
                candidate = torch.where(covered, content, x)
                value, slope = rise(score, candidate, direction)
                yield candidate, value
                size = slope.abs().mean((1, 2, 3), keepdim=True).clamp(min=1e-12)
                moving = moving * _MOMENTUM + slope / size
                content = (content + _STEP * moving.sign()).clamp(0, 1)

    def _covered(self, gradient: Tensor) -> Iterator[Tensor]:
        """Yield for each place which values are covered, (B, C, H, W) bool."""
        batch, _, height, width = gradient.shape
        side = max(1, min(height, width, round((self.share * height * width) ** 0.5)))
        harm = functional.avg_pool2d(gradient.abs().sum(1, keepdim=True), side, 1)[:, 0]
        rows, columns = torch.arange(height).view(1, -1, 1), torch.arange(width).view(1, 1, -1)
        for _ in range(self.places):
            top, left = (
                at.view(-1, 1, 1) for at in torch.unravel_index(harm.flatten(1).argmax(1), harm.shape[1:])
            )
            inside = (rows >= top) & (rows < top + side) & (columns >= left) & (columns < left + side)
            yield inside.view(batch, 1, height, width).expand_as(gradient)
            near = _near(harm, top, left, side)
            harm = harm.masked_fill(near, -1)


def _near(harm: Tensor, top: Tensor, left: Tensor, side: int) -> Tensor:
    """Return which places (B, h, w) overlap a square that lies at ``top`` and ``left``."""
    rows, columns = (torch.arange(size) for size in harm.shape[1:])
    near_rows = (rows.view(1, -1, 1) - top).abs() < side
    return near_rows & ((columns.view(1, 1, -1) - left).abs() < side)
