"""Make the bank of a large picture: many small crops to train on, and few whole pictures to judge by.

A crop is cut around the edge of a defect that was drawn on a window of a normal, so that scales and shapes
are those of the picture while a training step costs no more than that of a small picture.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from trainer.arrays import Masks, Pictures
from trainer.crops.place import Corner, EnergyPlaces, around, centred, crop_size, cut
from trainer.pseudo.acceptance import largest_change
from trainer.pseudo.bank import MadeBank, PseudoAnomaly, make_bank
from trainer.pseudo.entry import LEFT, TOP
from trainer.pseudo.kinds import TRANSFORMS
from trainer.pseudo.mask import changed
from trainer.pseudo.recipe import BankRecipe, CropRecipe
from trainer.pseudo.transform import Parameters, Picture

# Swapped quarters are a defect of the whole window: a crop of one shows nothing but its seam.
LEFT_OUT = frozenset({"permute"})
SAME_PLACE = 0.5  # how often a donor lends texture from the place where the defect will lie

OnProgress = Callable[[int, int], None]


def make_crop_bank(
    normals: Pictures,
    recipe: BankRecipe,
    seed: int,
    held_out: Masks | None = None,
    on_progress: OnProgress | None = None,
) -> MadeBank:
    """Return crops of the normals (N, H, W, C) that are trained on, and whole pictures of the others.

    The same arguments give the same bank. ``held_out`` (N,) marks normals that no training uses; without it
    all are trained on, and there is no whole picture. The recipe has ``crops``.
    """
    assert recipe.crops is not None
    trained = np.arange(len(normals)) if held_out is None else np.flatnonzero(~held_out)
    drawer = _CropDrawer(normals, recipe, recipe.crops, trained)
    found: list[PseudoAnomaly] = []
    numbers = dict.fromkeys(trained.tolist(), 0)
    total = recipe.crops.total
    for index in range(total):
        source = int(trained[index % len(trained)])
        anomaly = drawer.draw(source, numbers[source], np.random.default_rng([seed, source, numbers[source]]))
        numbers[source] += 1
        if anomaly is not None:
            found.append(anomaly)
        if on_progress is not None and index % 100 == 0:
            on_progress(index, total)
    whole = () if held_out is None else _whole(normals, recipe, seed, held_out)
    if on_progress is not None:
        on_progress(total, total)
    per_normal = math.ceil(total / len(trained))
    return MadeBank((*found, *whole), drawer.rates(), drawer.shares(), per_normal)


def _whole(normals: Pictures, recipe: BankRecipe, seed: int, held_out: Masks) -> tuple[PseudoAnomaly, ...]:
    """Return the whole pictures of the held-out normals, as a bank without crops would hold them."""
    assert recipe.crops is not None
    own = replace(recipe, per_normal=recipe.crops.whole, crops=None, held_out_only=True)
    return make_bank(normals, own, seed, held_out).anomalies


@dataclass(frozen=True, slots=True)
class _Window:
    """A window (S, S, C) of a normal in [0, 1], and its corner there."""

    picture: Picture
    corner: Corner


class _CropDrawer:
    """Draws crops until one is accepted, and counts tries."""

    def __init__(
        self, normals: Pictures, recipe: BankRecipe, crops: CropRecipe, trained: NDArray[np.intp]
    ) -> None:
        self._normals, self._crops, self._trained = normals, crops, trained
        self._closing = recipe.closing
        within: Corner = (normals.shape[1], normals.shape[2])
        side = min(*within, crops.window)
        self._within, self._window = within, (side, side)
        self._size = crop_size(crops.side, self._window)
        self._places = EnergyPlaces(normals)
        self._names = sorted(set(recipe.shares) - LEFT_OUT)
        weights = np.array([recipe.shares[name] for name in self._names], np.float64)
        self._shares = weights / weights.sum()
        self._drawn = dict.fromkeys(self._names, 0)
        self._accepted = dict.fromkeys(self._names, 0)

    def shares(self) -> dict[str, float]:
        """Return how often each transform is drawn."""
        return dict(zip(self._names, self._shares.tolist(), strict=True))

    def rates(self) -> dict[str, float]:
        """Return the accepted draws per draw of each transform."""
        return {name: self._accepted[name] / of for name, of in self._drawn.items() if of}

    def draw(self, source: int, number: int, rng: Generator) -> PseudoAnomaly | None:
        """Return the first accepted try, or None when all were refused."""
        name = self._names[int(rng.choice(len(self._names), p=self._shares))]
        for _ in range(self._crops.tries):
            found = self._tried(name, (source, number), rng)
            if found is not None:
                return found
        return None

    def _tried(self, name: str, of: tuple[int, int], rng: Generator) -> PseudoAnomaly | None:
        source, number = of
        transform = TRANSFORMS[name]
        normal, donor, lender = self._windows(source, rng)
        parameters: Parameters = {**transform.draw(rng), "donor": lender}
        made = transform.apply(normal.picture, donor.picture, parameters)
        stored = np.rint(made * 255).astype(np.uint8)
        distorted = np.asarray(stored / np.float32(255), np.float32)
        self._drawn[name] += 1
        if largest_change(normal.picture, distorted) < self._crops.contrast:
            return None
        mask = changed(normal.picture, distorted, self._closing)
        edge = np.flatnonzero(edge_of(mask))
        if not len(edge):
            return None
        self._accepted[name] += 1
        pixel = divmod(int(edge[int(rng.integers(len(edge)))]), mask.shape[1])
        corner = around(pixel, self._size, self._window, rng)
        place = {TOP: normal.corner[0] + corner[0], LEFT: normal.corner[1] + corner[1]}
        return PseudoAnomaly(
            source,
            number,
            name,
            {**parameters, **place},
            cut(stored, corner, self._size).copy(),
            cut(mask, corner, self._size).copy(),
            acceptance=0.0,
        )

    def _windows(self, source: int, rng: Generator) -> tuple[_Window, _Window, int]:
        """Return the window that is distorted, one of another normal, and the number of that normal."""
        corner = centred(self._places.draw(source, rng), self._window, self._within)
        others = self._trained[self._trained != source]
        lender = int(rng.choice(others if len(others) else self._trained))
        there = corner
        if rng.random() >= SAME_PLACE:
            there = centred(self._places.draw(lender, rng), self._window, self._within)
        return self._cut(source, corner), self._cut(lender, there), lender

    def _cut(self, source: int, corner: Corner) -> _Window:
        pixels = cut(self._normals[source], corner, self._window)
        return _Window(np.asarray(pixels / np.float32(255), np.float32), corner)


def edge_of(mask: Masks) -> Masks:
    """Return the pixels of a mask (S, S) that have a neighbour outside it, or that lie at the border."""
    wide = np.pad(mask, 1)
    inner = wide[:-2, 1:-1] & wide[2:, 1:-1] & wide[1:-1, :-2] & wide[1:-1, 2:]
    return mask & ~inner
