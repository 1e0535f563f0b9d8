"""Distort whole pictures: rotation and elastic deformation."""

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from trainer.pseudo.canvas import smooth_noise
from trainer.pseudo.transform import Parameters, Picture, Transform, details, new_seed, one_of

_BORDER = 0.1  # of the side, over which displacement fades to zero towards the border


def draw_rotation(rng: Generator) -> Parameters:
    """Choose an angle that a well-placed part never has."""
    return {"degrees": float(rng.uniform(10, 350))}


def rotation(picture: Picture, donor: Picture, of: Parameters) -> Picture:
    """Return ``picture`` turned about its centre; it is mirrored beyond its border."""
    size = picture.shape[0]
    angle, middle = np.deg2rad(float(of["degrees"])), (size - 1) / 2
    y, x = np.mgrid[:size, :size] - middle
    return _sampled(
        picture,
        y * np.cos(angle) - x * np.sin(angle) + middle,
        y * np.sin(angle) + x * np.cos(angle) + middle,
    )


def draw_elastic(rng: Generator) -> Parameters:
    """Choose how far pixels move (a fraction of the side) and over how many knots."""
    return {
        "reach": float(rng.uniform(0.01, 0.05)),
        "knots": int(one_of(rng, 5, 7, 9)),
        "seed": new_seed(rng),
    }


def elastic(picture: Picture, donor: Picture, of: Parameters) -> Picture:
    """Return ``picture`` moved along two smooth random fields (Simard et al., ICDAR 2003)."""
    size, rng = picture.shape[0], details(of)
    y, x = np.mgrid[:size, :size].astype(np.float64)
    edge = np.minimum(np.minimum(y, x), np.minimum(size - 1 - y, size - 1 - x)) / (size * _BORDER)
    reach = float(of["reach"]) * size * np.clip(edge, 0, 1)
    down, right = (smooth_noise(rng, size, int(of["knots"])) * reach for _ in range(2))
    return _sampled(picture, y + down, x + right)


def _sampled(picture: Picture, y: NDArray[np.float64], x: NDArray[np.float64]) -> Picture:
    """Return the picture sampled bilinearly at fractional places; it is mirrored beyond its border."""
    last = picture.shape[0] - 1
    y, x = (np.abs((place + last) % (2 * last) - last) for place in (-y % (2 * last), -x % (2 * last)))
    top, left = np.minimum(y.astype(int), last - 1), np.minimum(x.astype(int), last - 1)
    down, right = (y - top)[..., None], (x - left)[..., None]
    upper = picture[top, left] * (1 - right) + picture[top, left + 1] * right
    lower = picture[top + 1, left] * (1 - right) + picture[top + 1, left + 1] * right
    return np.asarray(upper * (1 - down) + lower * down, np.float32)


TRANSFORMS = (
    Transform("rotation", draw_rotation, rotation),
    Transform("elastic", draw_elastic, elastic),
)
