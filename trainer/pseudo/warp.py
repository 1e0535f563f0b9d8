"""Distort whole pictures: rotation and elastic deformation."""

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from trainer.pseudo.canvas import smooth_noise
from trainer.pseudo.transform import Parameters, Picture, Transform, details, grid_of, new_seed, one_of

_BORDER = 0.1  # of the shorter side, over which displacement fades to zero towards the border


def draw_rotation(rng: Generator) -> Parameters:
    """Choose an angle that a well-placed part never has."""
    return {"degrees": float(rng.uniform(10, 350))}


def rotation(picture: Picture, donor: Picture, of: Parameters) -> Picture:
    """Return ``picture`` turned about its centre; it is mirrored beyond its border."""
    height, width = grid_of(picture)
    angle, down, right = np.deg2rad(float(of["degrees"])), (height - 1) / 2, (width - 1) / 2
    y, x = np.mgrid[:height, :width]
    y, x = y - down, x - right
    return _sampled(
        picture,
        y * np.cos(angle) - x * np.sin(angle) + down,
        y * np.sin(angle) + x * np.cos(angle) + right,
    )


def draw_elastic(rng: Generator) -> Parameters:
    """Choose how far pixels move (a fraction of the shorter side) and over how many knots."""
    return {
        "reach": float(rng.uniform(0.01, 0.05)),
        "knots": int(one_of(rng, 5, 7, 9)),
        "seed": new_seed(rng),
    }


def elastic(picture: Picture, donor: Picture, of: Parameters) -> Picture:
    """Return ``picture`` moved along two smooth random fields (Simard et al., ICDAR 2003)."""
    grid, rng = grid_of(picture), details(of)
    y, x = np.mgrid[: grid.height, : grid.width].astype(np.float64)
    edge = np.minimum(np.minimum(y, x), np.minimum(grid.height - 1 - y, grid.width - 1 - x))
    reach = float(of["reach"]) * grid.shorter * np.clip(edge / (grid.shorter * _BORDER), 0, 1)
    down, right = (smooth_noise(rng, grid, int(of["knots"])) * reach for _ in range(2))
    return _sampled(picture, y + down, x + right)


def _sampled(picture: Picture, y: NDArray[np.float64], x: NDArray[np.float64]) -> Picture:
    """Return the picture sampled bilinearly at fractional places; it is mirrored beyond its border."""
    lasts = [side - 1 for side in grid_of(picture)]
    y, x = (
        np.abs((-at % (2 * last) + last) % (2 * last) - last) for at, last in zip((y, x), lasts, strict=True)
    )
    top, left = (np.minimum(at.astype(int), last - 1) for at, last in zip((y, x), lasts, strict=True))
    down, right = (y - top)[..., None], (x - left)[..., None]
    upper = picture[top, left] * (1 - right) + picture[top, left + 1] * right
    lower = picture[top + 1, left] * (1 - right) + picture[top + 1, left + 1] * right
    return np.asarray(upper * (1 - down) + lower * down, np.float32)


TRANSFORMS = (
    Transform("rotation", draw_rotation, rotation),
    Transform("elastic", draw_elastic, elastic),
)
