"""Make a bank: several accepted pseudo-anomalies per normal, the same for the same normals and seed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from trainer.arrays import Masks, Pictures
from trainer.pseudo.acceptance import NormalCells, largest_change
from trainer.pseudo.kinds import TRANSFORMS
from trainer.pseudo.mask import changed
from trainer.pseudo.recipe import Adapt, BankRecipe
from trainer.pseudo.transform import Parameters, Picture

_PILOT = 1  # the last number in the seeds of a pilot, which no other draw has
MOST_BYTES = 1 << 30  # of a bank's pictures and masks in memory: 268 in colour at a megapixel
_HELD_OUT_OF = 5  # one normal in five is held out, unless the caller says which


@dataclass(frozen=True, slots=True)
class PseudoAnomaly:
    """One pseudo-anomaly: ``picture`` (H, W, C) uint8, ``mask`` (H, W); ``source`` indexes the normals."""

    source: int
    number: int
    transform: str
    parameters: Parameters
    picture: Pictures
    mask: Masks
    acceptance: float  # share of held-out normals that are as unlikely; low means far from the normals


@dataclass(frozen=True, slots=True)
class MadeBank:
    """A finished bank.

    ``rates`` maps each transform to its accepted draws per draw, pilot included. ``shares`` maps it to how
    often it was drawn: as the recipe says, or as the pilot found it for this product; they sum to 1.
    ``per_normal`` is how many each normal was to get.
    """

    anomalies: tuple[PseudoAnomaly, ...]
    rates: dict[str, float]
    shares: dict[str, float]
    per_normal: int

    def found_shares(self) -> dict[str, float | int | str]:
        """Return the shares as flat numbers for a manifest."""
        return {f"found.{name}": round(share, 6) for name, share in self.shares.items()}


def make_bank(
    normals: Pictures,
    recipe: BankRecipe,
    seed: int,
    held_out: Masks | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> MadeBank:
    """Return up to ``per_normal`` pseudo-anomalies of every normal (N, H, W, C).

    ``held_out`` (N,) marks normals that no training uses: the bar comes from them, and they lend no texture
    to the others. Each draw depends only on the seed, its own two numbers and the shares. A normal gets fewer
    when all ``tries`` of a draw were refused, and when the pictures are large (``room_for``).
    ``on_progress(done, of)`` is called after each normal. Raises ValueError when there is no normal in or out
    of training.
    """
    aside = _aside(len(normals), seed) if held_out is None else held_out
    sides = np.flatnonzero(~aside), np.flatnonzero(aside)
    cells = NormalCells(*((_as_floats(normals[place]) for place in side) for side in sides))
    drawer = _Drawer(normals, recipe, cells, sides)
    if recipe.adapt is not None:
        drawer.adapt(recipe.adapt, seed)
    per_normal, sources = room_for(normals, recipe.per_normal, sides[1:] if recipe.held_out_only else sides)
    found: list[PseudoAnomaly] = []
    for source in sources:
        for number in range(per_normal):
            rng = np.random.default_rng([seed, source, number])
            anomaly = drawer.draw(source, number, donors=int(aside[source]), rng=rng)
            if anomaly is not None:
                found.append(anomaly)
        if on_progress is not None:
            on_progress(source + 1, len(normals))
    return MadeBank(tuple(found), drawer.rates(), drawer.shares(), per_normal)


def room_for(
    normals: Pictures, per_normal: int, sides: Sequence[NDArray[np.intp]]
) -> tuple[int, Sequence[int]]:
    """Return how many pseudo-anomalies each of the normals (N, H, W, C) in ``sides`` gets, and which of them
    get any, so that pictures and masks have MOST_BYTES at most.

    A bank of large pictures has fewer of each normal, and where one of each is too many, every second or
    third normal of those in training and of those out of it has one.
    """
    _, height, width, channels = normals.shape
    most = MOST_BYTES // (height * width * (channels + 1))
    count = max(1, sum(map(len, sides)))
    step = max(1, -(-count // max(1, most)))
    sources = sorted(int(place) for side in sides for place in side[::step])
    return max(1, min(per_normal, most // count)), sources


class _Drawer:
    """Draws until a try is accepted, and counts tries."""

    def __init__(
        self, normals: Pictures, recipe: BankRecipe, cells: NormalCells, sides: Sequence[NDArray[np.intp]]
    ) -> None:
        self._normals, self._recipe, self._cells, self._sides = normals, recipe, cells, sides
        self._names = sorted(recipe.shares)
        weights = np.array([recipe.shares[name] for name in self._names], np.float64)
        self._shares = weights / weights.sum()
        self._drawn = dict.fromkeys(self._names, 0)
        self._accepted = dict.fromkeys(self._names, 0)

    def draw(self, source: int, number: int, donors: int, rng: Generator) -> PseudoAnomaly | None:
        """Return the first accepted try, or None; all tries use one transform, so shares stay exact."""
        name = self._names[int(rng.choice(len(self._names), p=self._shares))]
        for _ in range(self._recipe.tries):
            found = self._tried(name, (source, number), donors, rng)
            if found is not None:
                return found
        return None

    def adapt(self, how: Adapt, seed: int) -> None:
        """Fit the shares to the normals that may be trained on; they stay when nothing at all is accepted."""
        rates = np.zeros(len(self._names))
        for index, name in enumerate(self._names):
            for number in range(how.draws):
                rng = np.random.default_rng([seed, index, number, _PILOT])
                source = int(rng.choice(self._sides[0]))
                rates[index] += self._tried(name, (source, number), 0, rng) is not None
        rates /= how.draws
        fitted = self._shares * np.where(rates >= how.least, rates, 0)
        if fitted.any():
            self._shares = fitted / fitted.sum()

    def shares(self) -> dict[str, float]:
        """Return how often each transform is drawn."""
        return dict(zip(self._names, self._shares.tolist(), strict=True))

    def _tried(self, name: str, of: tuple[int, int], donors: int, rng: Generator) -> PseudoAnomaly | None:
        """Return one draw of a transform, or None when refused; ``of`` is (normal, number of the draw)."""
        source, number = of
        transform, normal = TRANSFORMS[name], _as_floats(self._normals[source])
        donor = int(rng.choice(self._sides[donors]))
        parameters: Parameters = {**transform.draw(rng), "donor": donor}
        picture = _as_stored(transform.apply(normal, _as_floats(self._normals[donor]), parameters))
        self._drawn[name] += 1
        stored = _as_floats(picture)
        share = self._accept(normal, stored)
        if share is None:
            return None
        self._accepted[name] += 1
        mask = changed(normal, stored, self._recipe.closing)
        return PseudoAnomaly(source, number, name, parameters, picture, mask, share)

    def rates(self) -> dict[str, float]:
        """Return the accepted draws per draw of each transform."""
        return {name: self._accepted[name] / of for name, of in self._drawn.items() if of}

    def _accept(self, normal: Picture, candidate: Picture) -> float | None:
        if largest_change(normal, candidate) < self._recipe.bar.contrast:
            return None
        share = self._cells.share_as_unlikely(candidate)
        return share if share <= self._recipe.bar.quantile else None


def _as_stored(picture: Picture) -> Pictures:
    return np.rint(picture * 255).astype(np.uint8)


def _as_floats(pictures: Pictures) -> Picture:
    return np.asarray(pictures / np.float32(255), np.float32)


def _aside(count: int, seed: int) -> Masks:
    order = np.random.default_rng([seed, count]).permutation(count)
    return order < max(1, count // _HELD_OUT_OF)
