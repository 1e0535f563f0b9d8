"""The pictures of one step: pairs of a normal and its pseudo-anomaly, in two views, with defective cells."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Generator, Tensor, nn
from torch.nn import functional
from typing_extensions import override

from trainer.adversarial import distributed
from trainer.arrays import PseudoBank
from trainer.learning.augment import Light, flip, move, relight

# A cell is defective when at least an eighth of its pixels changed: two of the sixteen at stride 4.
CELL_SHARE = 1 / 8


@dataclass(frozen=True, slots=True)
class Variation:
    """How pairs of pictures vary, besides flips: in light, and in the place of the part.

    Half of the pairs stay in place; the others are shifted by up to ``shift`` (a fraction of the side) in
    both directions.
    """

    light: Light
    shift: float = 0.0


@dataclass(frozen=True, slots=True)
class PairedBatch:
    """Rows are n normals, then their n pseudo-anomalies. Views are (2n, C, H, W).

    ``cells`` (2n, h, w) is 1 where a cell is defective. ``picked`` (n, R) numbers the cells that enter the
    contrastive loss.
    """

    first: Tensor
    second: Tensor
    cells: Tensor
    picked: Tensor

    @property
    def kinds(self) -> Tensor:
        """(2n,) float: 1 for pseudo-anomalies, 0 for normals."""
        half = len(self.first) // 2
        return (torch.arange(2 * half, device=self.first.device) >= half).float()

    def own(self, device: torch.device) -> "PairedBatch":
        """Return this process's pairs, on its device, of a batch that every process drew."""
        layout = torch.channels_last
        return PairedBatch(
            first=distributed.own(self.first).to(device, memory_format=layout),
            second=distributed.own(self.second).to(device, memory_format=layout),
            cells=distributed.own(self.cells).to(device),
            picked=distributed.own(self.picked, kinds=1).to(device),
        )


class Batches(Protocol):
    """Draws each batch from the seed, its step and the places it has learned, so that trainings resume."""

    def size(self, wanted: int) -> int:
        """Return how many pairs a batch has: at most ``wanted``, and the same number in each process."""
        ...

    def draw(self, seed: int, step: int, size: int, picks: int) -> PairedBatch:
        """Return the batch of a step, with as many pairs as the method ``size`` allows."""
        ...

    def learn(self, network: nn.Module, step: int, steps: int) -> None:
        """See the average of the weights after a step, which may tell where normals are hard."""
        ...

    def kept(self) -> Mapping[str, Tensor]:
        """Return what was learned, for a checkpoint."""
        ...

    def resume(self, kept: Mapping[str, Tensor]) -> None:
        """Go on with what a checkpoint has kept."""
        ...


class Pairs(Batches):
    """Draws each batch of whole pictures from the seed and its step alone; nothing is learned on the way."""

    def __init__(
        self, normals: Tensor, bank: PseudoBank, grid: tuple[int, int], variation: Variation
    ) -> None:
        """``normals`` is (N, C, H, W) in [0, 1]; ``grid`` is how many cells there are down and across."""
        self._normals, self._variation, self._grid = normals, variation, grid
        self._pictures, self._masks = torch.from_numpy(bank.pictures), torch.from_numpy(bank.masks)
        self._of = [np.flatnonzero(bank.source == source) for source in range(len(normals))]
        self._sources = np.flatnonzero([len(own) > 0 for own in self._of])

    @override
    def size(self, wanted: int) -> int:
        """Return how many pairs a batch has: at most one per normal, and the same number in each process."""
        found = min(wanted, len(self._sources))
        return found if found == wanted else found // distributed.world() * distributed.world()

    @override
    def draw(self, seed: int, step: int, size: int, picks: int) -> PairedBatch:
        size = self.size(size)
        rng = np.random.default_rng([seed, step])
        random = torch.Generator().manual_seed(int(rng.integers(1 << 62)))
        sources = self._turn(seed, step, size)
        chosen = torch.from_numpy(np.array([rng.choice(self._of[source]) for source in sources]))
        pseudo = self._pictures[chosen].permute(0, 3, 1, 2).float() / 255
        pairs = torch.cat([self._normals[torch.from_numpy(sources)], pseudo])
        masks = self._masks[chosen][:, None].float()
        masks = torch.cat([torch.zeros_like(masks), masks])
        across, down = (torch.rand(size, generator=random) < 0.5 for _ in range(2))
        across, down = across.repeat(2), down.repeat(2)
        pairs, masks = flip(pairs, across, down), flip(masks, across, down)
        if self._variation.shift:
            way = _ways(size, self._variation.shift, random).repeat(2, 1)
            pairs, masks = move(pairs, way), move(masks, way)
        return lit(pairs, masks, self._grid, picks, (self._variation.light, random))

    @override
    def learn(self, network: nn.Module, step: int, steps: int) -> None:
        """Learn nothing."""

    @override
    def kept(self) -> Mapping[str, Tensor]:
        return {}

    @override
    def resume(self, kept: Mapping[str, Tensor]) -> None:
        """Go on: there is nothing to take over."""

    def _turn(self, seed: int, step: int, size: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """Return the normals of a step: each pass uses every normal once, in an order of its own."""
        per_pass = len(self._sources) // size
        passes, place = divmod(step, per_pass)
        order = np.random.default_rng([seed, passes, 1]).permutation(self._sources)
        return order[place * size : (place + 1) * size].astype(np.int64)


def lit(
    pairs: Tensor, masks: Tensor, grid: tuple[int, int], picks: int, drawn: tuple[Light, Generator]
) -> PairedBatch:
    """Return the batch of pairs (2n, C, H, W) and masks (2n, 1, H, W), normals first, in two lights."""
    light, random = drawn
    cells = functional.adaptive_avg_pool2d(masks, grid)[:, 0]
    layout = torch.channels_last
    return PairedBatch(
        first=relight(pairs, light, random).contiguous(memory_format=layout),
        second=relight(pairs, light, random).contiguous(memory_format=layout),
        cells=(cells >= CELL_SHARE).float(),
        picked=_picked(cells[len(pairs) // 2 :], picks, random),
    )


def _ways(count: int, shift: float, random: Generator) -> Tensor:
    """Return how far each picture is moved, (count, 2); half of the pictures are not moved."""
    way = (torch.rand((count, 2), generator=random) * 2 - 1) * shift
    return way * (torch.rand((count, 1), generator=random) < 0.5)


def _picked(shares: Tensor, picks: int, random: Generator) -> Tensor:
    """Return cells (n, R) of the pseudo-anomalies, drawn from where the defect is."""
    weights = (shares >= CELL_SHARE) + 1e-6 * shares + 1e-12
    return torch.multinomial(weights.flatten(1), picks, replacement=True, generator=random)
