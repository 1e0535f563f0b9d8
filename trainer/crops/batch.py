"""The crops of one step: pseudo-anomalies, the clean twins of half of them, and as many fresh crops."""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor, nn
from typing_extensions import override

from trainer.adversarial import distributed
from trainer.adversarial.batch import Batches, PairedBatch, lit
from trainer.adversarial.network import CellNetwork
from trainer.arrays import Pictures, PseudoBank
from trainer.crops.hard import hard_places, is_due
from trainer.crops.place import Corner, EnergyPlaces, around, centred, cut
from trainer.learning.augment import Light, flip

HARD = 0.5  # share of the fresh crops that come from hard places, once there are some


class CropBatches(Batches):
    """A batch of b pairs has b pseudo-anomalies, b/2 clean twins of the first of them, and b/2 fresh crops.

    A twin is what the normal shows where its pseudo-anomaly was cut. Fresh crops lie where normals have
    structure, and half of them where the net has found normals hard. Both crops of a pair are flipped alike.
    """

    def __init__(self, normals: Pictures, bank: PseudoBank, grid: tuple[int, int], light: Light) -> None:
        """``normals`` are (N, H, W, C) uint8, ``bank`` their crops; ``grid`` is the cells of one crop."""
        assert bank.corner is not None
        self._normals, self._bank, self._corners = normals, bank, bank.corner
        self._grid, self._light = grid, light
        self._places = EnergyPlaces(normals)
        self._size: Corner = bank.pictures.shape[1], bank.pictures.shape[2]
        self._within: Corner = normals.shape[1], normals.shape[2]
        self._hard = torch.zeros((0, 3), dtype=torch.int64)

    @override
    def size(self, wanted: int) -> int:
        """Return how many pairs a batch has: at most one per crop of the bank, the same in each process."""
        found = min(wanted, len(self._bank.source))
        return found if found == wanted else found // distributed.world() * distributed.world()

    @override
    def draw(self, seed: int, step: int, size: int, picks: int) -> PairedBatch:
        size = self.size(size)
        rng = np.random.default_rng([seed, step])
        random = torch.Generator().manual_seed(int(rng.integers(1 << 62)))
        chosen = self._turn(seed, step, size)
        twins = [self._twin(index) for index in chosen[: size // 2].tolist()]
        fresh = [self._fresh(rng) for _ in range(size - len(twins))]
        crops = np.concatenate([np.stack(twins + fresh), self._bank.pictures[chosen]])
        pairs = torch.from_numpy(crops).permute(0, 3, 1, 2).float() / 255
        masks = torch.from_numpy(self._bank.masks[chosen])[:, None].float()
        masks = torch.cat([torch.zeros_like(masks), masks])
        across, down = (torch.rand(size, generator=random) < 0.5 for _ in range(2))
        across, down = across.repeat(2), down.repeat(2)
        pairs, masks = flip(pairs, across, down), flip(masks, across, down)
        return lit(pairs, masks, self._grid, picks, (self._light, random))

    @override
    def learn(self, network: nn.Module, step: int, steps: int) -> None:
        """Look for hard places after certain shares of the run."""
        if is_due(step, steps):
            assert isinstance(network, CellNetwork)
            found = hard_places(network, self._normals)
            # Sums of another order may make another cell the highest: every process takes those of the first.
            self._hard = distributed.summed(found if distributed.rank() == 0 else torch.zeros_like(found))

    @override
    def kept(self) -> Mapping[str, Tensor]:
        return {"hard": self._hard} if len(self._hard) else {}

    @override
    def resume(self, kept: Mapping[str, Tensor]) -> None:
        self._hard = kept.get("hard", self._hard[:0])

    def fresh(self, count: int, rng: Generator) -> Pictures:
        """Return crops (count, h, w, C) of normals, placed by energy alone."""
        return np.stack([self._by_energy(rng) for _ in range(count)])

    def _turn(self, seed: int, step: int, size: int) -> NDArray[np.int64]:
        """Return the crops of a step: each pass uses every one of them once, in an order of its own."""
        passes, place = divmod(step, len(self._bank.source) // size)
        order = np.random.default_rng([seed, passes, 1]).permutation(len(self._bank.source))
        return order[place * size : (place + 1) * size].astype(np.int64)

    def _twin(self, index: int) -> Pictures:
        top, left = self._corners[index].tolist()
        return cut(self._normals[self._bank.source[index]], (top, left), self._size)

    def _fresh(self, rng: Generator) -> Pictures:
        if not len(self._hard) or rng.random() >= HARD:
            return self._by_energy(rng)
        source, row, column = self._hard[int(rng.integers(len(self._hard)))].tolist()
        return cut(self._normals[source], around((row, column), self._size, self._within, rng), self._size)

    def _by_energy(self, rng: Generator) -> Pictures:
        source = int(rng.integers(len(self._normals)))
        corner = centred(self._places.draw(source, rng), self._size, self._within)
        return cut(self._normals[source], corner, self._size)
