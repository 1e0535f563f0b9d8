"""How a net that was trained on crops answers on a whole picture: the mean of the highest cells."""

from dataclasses import dataclass
from typing import Any

import torch
from pydantic import JsonValue
from torch import Tensor, nn
from typing_extensions import override

from trainer.adversarial.fuse_batchnorm import folded
from trainer.adversarial.network import CellNetwork
from trainer.arrays import Pictures
from trainer.crops.hard import cell_map

EXPLAINED = 0.6  # R² of the place from which the units of the place help; below, they cost detection
_CHECKED_OF = 5  # one normal in five shows how much of the maps the place explains
_LEAST = 1e-3  # of a spread, in logits: where normals never vary at all


@dataclass(frozen=True, slots=True)
class DenseScore:
    """The numbers of an answer: the score is the mean of the ``top`` highest cells.

    ``units`` is the size (h, w) of the map whose cells are measured in units of their place, or None.
    """

    top: int
    units: tuple[int, int] | None = None

    def as_recipe(self) -> dict[str, JsonValue]:
        """Return the numbers as a recipe holds them."""
        return {"top": self.top, "units": None if self.units is None else list(self.units)}

    @staticmethod
    def of_recipe(stored: Any) -> "DenseScore | None":
        """Return the numbers that a recipe holds, None where a net sees whole pictures.

        Raises KeyError, TypeError or ValueError for anything else.
        """
        if stored is None:
            return None
        units = stored["units"]
        return DenseScore(int(stored["top"]), None if units is None else (int(units[0]), int(units[1])))


class DenseAnswer(nn.Module):
    """Turns the map of a whole picture into what is served: the map and its score."""

    middle: Tensor
    spread: Tensor

    def __init__(self, of: DenseScore) -> None:
        super().__init__()
        self.of = of
        if of.units is not None:
            self.register_buffer("middle", torch.zeros(of.units))
            self.register_buffer("spread", torch.ones(of.units))

    @override
    def forward(self, cells: Tensor) -> tuple[Tensor, Tensor]:
        """Return scores (B,) and maps (B, h, w) of cells (B, h, w)."""
        served = cells if self.of.units is None else (cells - self.middle) / self.spread
        flat = served.flatten(1)
        return torch.topk(flat, min(self.of.top, flat.shape[1]), dim=1).values.mean(1), served


def dense_answer(maps: Tensor, top: int) -> tuple[DenseAnswer, float]:
    """Return the answer that suits maps (N, h, w) of training normals, and the R² of the place.

    Where the place explains the maps (R² >= EXPLAINED), a cell is measured from the mean of its place, in
    its standard deviations, half of whose square is that of all places. The R² comes from every fifth
    normal, held against the means of the others.
    """
    explained = r_squared(maps)
    if explained < EXPLAINED:
        return DenseAnswer(DenseScore(top)), explained
    found = DenseAnswer(DenseScore(top, (maps.shape[1], maps.shape[2])))
    smooth = _smoothed(maps)
    variance = smooth.var(0)
    found.middle.copy_(smooth.mean(0))
    found.spread.copy_((0.5 * variance + 0.5 * variance.mean()).sqrt().clamp(min=_LEAST))
    return found, explained


def r_squared(maps: Tensor) -> float:
    """Return which share of the variance of maps (N, h, w) the place explains in normals not averaged."""
    smooth = _smoothed(maps)
    checked = torch.arange(len(maps)) % _CHECKED_OF == 0
    middle = smooth[~checked].mean(0)
    own = smooth[checked]
    whole = float((own - own.mean()).square().mean())
    return 0.0 if whole == 0 else 1 - float((own - middle).square().mean()) / whole


def maps_of(network: CellNetwork, normals: Pictures) -> Tensor:
    """Return the maps (N, h, w) of normals (N, H, W, C) uint8."""
    still = folded(network)
    return torch.stack([cell_map(still, picture) for picture in normals])


def _smoothed(maps: Tensor) -> Tensor:
    """Return maps (N, h, w), each cell the mean of the 3 x 3 cells around it that there are."""
    return nn.functional.avg_pool2d(maps[:, None], 3, 1, 1, count_include_pad=False)[:, 0]
