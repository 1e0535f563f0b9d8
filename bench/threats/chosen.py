"""Changes that a scene brings about, chosen by an adversary: of a few settings the worst for each picture."""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from trainer.evaluation.attacks import Score, worst_of

Change = Callable[[Tensor], Tensor]

_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
# From red, green and blue to lightness and two colour axes that a hue turns round (YIQ, FCC 1953).
_YIQ = ((0.299, 0.587, 0.114), (0.596, -0.274, -0.322), (0.211, -0.523, 0.312))


@dataclass(frozen=True, slots=True)
class WorstOf:
    """Tries every change on every picture and keeps the worst; it needs no gradient."""

    changes: Sequence[Change]

    def __call__(self, score: Score, x: Tensor, direction: Tensor) -> Tensor:
        """See Attack."""
        return worst_of(x, self._tried(score, x, direction))

    def _tried(self, score: Score, x: Tensor, direction: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        with torch.no_grad():
            for change in (lambda same: same, *self.changes):
                candidate = change(x).clamp(0, 1)
                yield candidate, score(candidate) * direction


def turned_and_shifted(degrees: float, pixels: float, steps: int = 5) -> list[Change]:
    """Return turns by up to ``degrees`` and shifts by up to ``pixels`` either way; edges are repeated."""
    angles, shifts = (torch.linspace(-most, most, steps).tolist() for most in (degrees, pixels))
    return [_moved(*setting) for setting in itertools.product(angles, shifts, shifts)]


def hues(degrees: float, steps: int = 9) -> list[Change]:
    """Return turns of the hue by up to ``degrees`` either way, of pictures in colour."""
    return [_hue(math.radians(angle)) for angle in torch.linspace(-degrees, degrees, steps).tolist()]


def saturations(share: float, steps: int = 9) -> list[Change]:
    """Return colours that are stronger or weaker by up to ``share``, of pictures in colour."""
    return [_saturation(1 + change) for change in torch.linspace(-share, share, steps).tolist()]


def lights(gain: float, offset: float, steps: int = 5) -> list[Change]:
    """Return gains of 1 ± ``gain`` with offsets of up to ``offset`` of the range either way."""
    gains, offsets = (torch.linspace(-most, most, steps).tolist() for most in (gain, offset))
    return [_light(1 + one, other) for one, other in itertools.product(gains, offsets)]


def _moved(degrees: float, right: float, down: float) -> Change:
    turn = math.radians(degrees)

    def change(x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        # In pixels from the centre, so that a picture that is no square is turned and not sheared.
        place = torch.tensor(
            [
                [math.cos(turn), -math.sin(turn) * height / width, 2 * right / width],
                [math.sin(turn) * width / height, math.cos(turn), 2 * down / height],
            ]
        )
        grid = functional.affine_grid(place.expand(len(x), 2, 3), list(x.shape), align_corners=False)
        return functional.grid_sample(x, grid, "bilinear", "border", align_corners=False)

    return change


def _hue(turn: float) -> Change:
    to_yiq = torch.tensor(_YIQ)
    turning = torch.tensor(
        [
            [1.0, 0.0, 0.0],
            [0.0, math.cos(turn), -math.sin(turn)],
            [0.0, math.sin(turn), math.cos(turn)],
        ]
    )
    whole = torch.linalg.inv(to_yiq) @ turning @ to_yiq
    return lambda x: torch.einsum("ij,bjhw->bihw", whole, x)


def _saturation(factor: float) -> Change:
    weights = torch.tensor(_LUMA).view(1, 3, 1, 1)

    def change(x: Tensor) -> Tensor:
        gray = (x * weights).sum(1, keepdim=True)
        return gray + factor * (x - gray)

    return change


def _light(gain: float, offset: float) -> Change:
    return lambda x: x * gain + offset
