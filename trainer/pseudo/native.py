"""Pseudo-anomalies of a wanted size at a camera's own pixels: what a resize hides is hidden in them too.

The guard that draws its defects at the model's input cannot see what the way to that input has averaged away.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from trainer.arrays import Pictures
from trainer.pseudo.acceptance import largest_change
from trainer.pseudo.kinds import LOCAL_SHARES, TRANSFORMS
from trainer.pseudo.transform import Picture, Transform

LEAST_CONTRAST = 8 / 255  # of the largest 2 x 2 mean of the change; a fainter defect is no fair question
LEAST_WINDOW = 16  # pixels; a transform has no room in less, and of its result a square is taken
_SHARES = (1 / 16, 1 / 4)  # of the shorter side, between which a size is drawn where none is wanted
_TRIES = 24
_PLACES = 4  # of so many random places the most structured is taken: parts do not fill their pictures
_WHOLE_PICTURE = frozenset({"permute", "elastic"})


@dataclass(frozen=True, slots=True)
class NativeDefect:
    """A defective copy (H, W, C) of the normal number ``source``; ``box`` is its y, x, height and width."""

    picture: Pictures
    source: int
    box: tuple[int, int, int, int]


def native_defects(normals: Sequence[Pictures], side: int | None, seed: int) -> list[NativeDefect]:
    """Return one defect of each normal, each (H, W, C) uint8 of its own size, within a square of ``side``.

    Without a side, each gets one between a sixteenth and a quarter of its shorter side. A normal in which no
    draw has enough contrast gets none. The same arguments give the same defects.
    """
    found = []
    for source in range(len(normals)):
        rng = np.random.default_rng([seed, source, 0 if side is None else side])
        made = _of(normals, source, side, rng)
        if made is not None:
            found.append(made)
    return found


def _of(normals: Sequence[Pictures], source: int, side: int | None, rng: Generator) -> NativeDefect | None:
    names = sorted(LOCAL_SHARES.keys() - _WHOLE_PICTURE)
    shares = np.array([LOCAL_SHARES[name] for name in names])
    for _ in range(_TRIES):
        name = names[int(rng.choice(len(names), p=shares / shares.sum()))]
        made = _tried(TRANSFORMS[name], normals, source, side, rng)
        if made is not None:
            return made
    return None


def _tried(
    transform: Transform, normals: Sequence[Pictures], source: int, side: int | None, rng: Generator
) -> NativeDefect | None:
    """Return one draw; None where it has too little contrast."""
    normal = normals[source]
    shorter = min(normal.shape[:2])
    wanted = side if side is not None else round(shorter * float(rng.uniform(*_SHARES)))
    size = min(max(wanted, 2), shorter)
    window = min(max(size, LEAST_WINDOW), shorter)
    y, x = _place(normal, window, rng)
    before = _floats(normal[y : y + window, x : x + window])
    donor = _window_of_another(normals, source, window, rng)
    after = np.clip(transform.apply(before, donor, transform.draw(rng)), 0, 1)
    changed = np.argwhere(np.abs(after - before).max(axis=2) >= LEAST_CONTRAST)
    if not len(changed):
        return None
    centre = changed[int(rng.integers(len(changed)))]
    down, right = (int(at) for at in np.clip(centre - size // 2, 0, window - size))
    picture = normal.copy()
    top, left = y + down, x + right
    stored = np.rint(after * 255).astype(np.uint8)
    picture[top : top + size, left : left + size] = stored[down : down + size, right : right + size]
    inside = (slice(max(0, top - 1), top + size + 1), slice(max(0, left - 1), left + size + 1))
    if largest_change(_floats(normal[inside]), _floats(picture[inside])) < LEAST_CONTRAST:
        return None
    return NativeDefect(picture, source, (top, left, size, size))


def _window_of_another(normals: Sequence[Pictures], source: int, window: int, rng: Generator) -> Picture:
    others = [
        index for index, one in enumerate(normals) if index != source and min(one.shape[:2]) >= window
    ] or [source]
    lender = normals[int(rng.choice(others))]
    y, x = _place(lender, window, rng)
    return _floats(lender[y : y + window, x : x + window])


def _place(picture: Pictures, window: int, rng: Generator) -> tuple[int, int]:
    height, width = picture.shape[:2]
    places = [
        (int(rng.integers(height - window + 1)), int(rng.integers(width - window + 1)))
        for _ in range(_PLACES)
    ]
    return max(places, key=lambda at: float(picture[at[0] : at[0] + window, at[1] : at[1] + window].std()))


def _floats(pixels: Pictures) -> Picture:
    return np.asarray(pixels / np.float32(255), np.float32)
