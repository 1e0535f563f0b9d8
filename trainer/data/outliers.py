"""Tell which normals are too far out to be believed, by a rule that a quarter of them cannot move. Pure."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from trainer.arrays import Pictures

LEAST_SCORES = 8  # fewer have no quartiles to go by
CHANCE = 0.05  # of leaving out any honest frame at all, when the upper tail is exponential


def fence(scores: Sequence[float]) -> float | None:
    """Return the score above which a normal is not believed; None when the scores give no measure of that.

    The tail above the upper quartile is taken for an exponential one, whose scale is the distance of the
    median to the farther quartile by the logarithm of 2. Of n honest scores with such a tail one is over the
    fence once in twenty times; of Gaussian ones once in millions of times.
    """
    if len(scores) < LEAST_SCORES:
        return None
    lower, median, upper = (float(value) for value in np.quantile(scores, (0.25, 0.5, 0.75)))
    spread = max(upper - median, median - lower)
    if spread <= 0:
        return None
    return upper + spread / math.log(2) * math.log(0.25 * len(scores) / CHANCE)


SIDE = 64  # pictures are compared at this side: what nobody sees there is not found
PATCH, STRIDE = 8, 4
NEIGHBOURS = 8  # so many pictures of one kind vouch for each other, and fewer do not
WORST_PLACES = 5  # a defect covers a few places; one alone may be noise
MOST_REFERENCES = 1000  # pictures that each is compared with; one core needs seconds for a thousand


def distances(pictures: Pictures) -> list[float]:
    """Return how far each picture (N, H, W, C) is from the others, at the places where it is farthest.

    Each patch is compared with the patches at its place of the other pictures. Light and contrast of a whole
    picture do not count.
    """
    patches = _patches(_small(pictures))
    count, places = patches.shape[:2]
    references = np.unique(np.linspace(0, count - 1, min(count, MOST_REFERENCES)).round().astype(np.intp))
    nth = min(NEIGHBOURS, len(references) // 3)
    found = np.zeros((count, places), np.float32)
    for place in range(places):
        ours, others = patches[:, place], patches[references, place]
        squares = (ours**2).sum(1)[:, None] + (others**2).sum(1)[None] - 2 * ours @ others.T
        squares[references, np.arange(len(references))] = -1  # each itself, which sorts before the nearest
        found[:, place] = np.sqrt(np.partition(squares, nth, axis=1)[:, nth].clip(0))
    worst = np.sort(found, axis=1)[:, -WORST_PLACES:]
    return [float(value) for value in worst.mean(axis=1)]


def far_from_all_others(pictures: Pictures) -> dict[int, float]:
    """Return index → distance of the pictures that are too far from all others to be of their kind."""
    if len(pictures) < LEAST_SCORES:
        return {}
    measured = distances(pictures)
    limit = fence(measured)
    return {} if limit is None else {at: value for at, value in enumerate(measured) if value > limit}


def _small(pictures: Pictures) -> NDArray[np.float32]:
    """Return pictures (N, h, w, C) of mean 0 and spread 1, by averaging squares; h·w is at most about SIDE²
    and no side is under a patch.
    """
    height, width = pictures.shape[1:3]
    wanted = int((height * width) ** 0.5) // SIDE
    factor = max(1, min(wanted, min(height, width) // PATCH))
    high, wide = height // factor, width // factor
    small = np.stack([_averaged(picture, factor, (high, wide)) for picture in pictures])
    small -= small.mean(axis=(1, 2, 3), keepdims=True)
    result: NDArray[np.float32] = small / (small.std(axis=(1, 2, 3), keepdims=True) + 1e-3)
    return result


def _averaged(picture: Pictures, factor: int, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Return the means of squares of ``factor`` pixels of (H, W, C), picture by picture to spare memory."""
    high, wide = shape
    cut = picture[: high * factor, : wide * factor].astype(np.float32)
    means: NDArray[np.float32] = cut.reshape(high, factor, wide, factor, -1).mean(axis=(1, 3))
    return means


def _patches(small: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (N, P, D): the patches of each picture (N, h, w, C), row by row."""
    shape = min(PATCH, small.shape[1]), min(PATCH, small.shape[2])
    windows = np.lib.stride_tricks.sliding_window_view(small, shape, axis=(1, 2))
    chosen = windows[:, ::STRIDE, ::STRIDE]
    return chosen.reshape(len(small), chosen.shape[1] * chosen.shape[2], -1)
