"""The synthetic defects of published methods.

They are a noise mask or a rectangle, filled with a texture or a colour, and a seamlessly blended piece of a
normal. Perlin masks and foreign textures are DRAEM's (Zavrtanik et al., ICCV 2021), with generated textures
in place of its pictures. Blending is NSA's (Schlueter et al., ECCV 2022) by Poisson's equation (Perez et al.,
2003). Rectangles and plain colours are DAF's (arXiv 2310.07585).
"""

from collections.abc import Mapping
from functools import partial

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from steadyline.grid import Grid
from trainer.pseudo.canvas import smooth_noise
from trainer.pseudo.transform import (
    Alpha,
    Parameters,
    Picture,
    Transform,
    details,
    grid_of,
    length_of,
    log_uniform,
    new_seed,
    one_of,
)

_OPACITY = 0.8  # the largest share of the picture that stays visible within a defect
_SMALLEST, _LARGEST = (
    0.03,
    0.4,
)  # sides of rectangles and blended pieces, as shares of the shorter side


def draw_filled(shape: str, fill: str, rng: Generator) -> Parameters:
    """Choose where a defect lies and what fills it."""
    place: Parameters = (
        {"knots_y": int(one_of(rng, 2, 4, 8, 16)), "knots_x": int(one_of(rng, 2, 4, 8, 16))}
        if shape == "perlin"
        else _rectangle(rng)
    )
    return {**place, "kept": float(rng.uniform(0, _OPACITY)), "seed": new_seed(rng)}


def filled(shape: str, fill: str, picture: Picture, donor: Picture, of: Parameters) -> Picture:
    """Return ``picture`` with the area of a ``shape`` mixed with a ``fill``; the rest is unchanged."""
    rng, grid = details(of), grid_of(picture)
    mask = perlin_mask(rng, grid, of) if shape == "perlin" else _rectangle_mask(grid, of)
    look: Alpha = _texture(rng, grid) if fill == "texture" else np.ones(grid, np.float32)
    colour = np.asarray(rng.uniform(0, 1, picture.shape[2]), np.float32)
    layer = np.clip(look[..., None] * colour, 0, 1)
    alpha = mask[..., None] * np.float32(1 - float(of["kept"]))
    return np.asarray(picture * (1 - alpha) + layer * alpha, np.float32)


def perlin_mask(rng: Generator, grid: Grid, of: Parameters) -> Alpha:
    """Return (H, W) of 0 and 1: where smooth noise, often stretched along one axis, is above a level."""
    knots = rng.standard_normal((int(of["knots_y"]) + 1, int(of["knots_x"]) + 1))
    noise = _stretched(knots, grid)
    return np.asarray(noise > np.quantile(noise, rng.uniform(0.85, 0.99)), np.float32)


def draw_blended(rng: Generator) -> Parameters:
    """Choose a piece of a normal, its new size, and where it goes."""
    return {
        **_rectangle(rng),
        "from_x": float(rng.uniform(0, 1)),
        "from_y": float(rng.uniform(0, 1)),
        "scale": log_uniform(rng, 0.7, 1.4),
        "gain": one_of(rng, -1.0, 1.0, 1.0, 1.5),
    }


def blended(picture: Picture, donor: Picture, of: Parameters) -> Picture:
    """Return ``picture`` with the gradients of a piece of ``donor``; the border keeps its values."""
    grid = grid_of(picture)
    top, left, high, wide = _corners(grid, of)
    scaled = (max(4, round(side * float(of["scale"]))) for side in (high, wide))
    tall, broad = (min(most, side) for most, side in zip(grid, scaled, strict=True))
    y, x = (
        round(float(of["from_y"]) * (grid.height - tall)),
        round(float(of["from_x"]) * (grid.width - broad)),
    )
    rows = np.linspace(y, y + tall - 1, high).round().astype(int)
    columns = np.linspace(x, x + broad - 1, wide).round().astype(int)
    piece = donor[rows][:, columns] * np.float32(of["gain"])
    found = picture.copy()
    window = picture[top : top + high, left : left + wide]
    for plane in range(picture.shape[2]):
        inside = piece[..., plane] + membrane(window[..., plane] - piece[..., plane])
        found[top : top + high, left : left + wide, plane] = inside
    return np.asarray(np.clip(found, 0, 1), np.float32)


def membrane(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (H, W) with the border of ``values``, harmonic inside: Laplace's equation, solved by sines."""
    high, wide = values.shape[0] - 2, values.shape[1] - 2
    known = np.zeros((high, wide))
    known[0] += values[0, 1:-1]
    known[-1] += values[-1, 1:-1]
    known[:, 0] += values[1:-1, 0]
    known[:, -1] += values[1:-1, -1]
    down, right = _sines(high), _sines(wide)
    stiff = _stiffness(high)[:, None] + _stiffness(wide)
    found = values.astype(np.float64)
    found[1:-1, 1:-1] = down @ ((down @ known @ right) / stiff) @ right
    return np.asarray(found, np.float32)


def _sines(count: int) -> NDArray[np.float64]:
    """Return the orthonormal sine transform, which is its own inverse."""
    index = np.arange(1, count + 1)
    waves: NDArray[np.float64] = np.sin(np.pi * np.outer(index, index) / (count + 1))
    waves *= np.sqrt(2 / (count + 1))
    return waves


def _stiffness(count: int) -> NDArray[np.float64]:
    found: NDArray[np.float64] = 2 - 2 * np.cos(np.pi * np.arange(1, count + 1) / (count + 1))
    return found


def _rectangle(rng: Generator) -> Parameters:
    return {
        "height": log_uniform(rng, _SMALLEST, _LARGEST),
        "width": log_uniform(rng, _SMALLEST, _LARGEST),
        "x": float(rng.uniform(0, 1)),
        "y": float(rng.uniform(0, 1)),
    }


def _corners(grid: Grid, of: Parameters) -> tuple[int, int, int, int]:
    """Return top, left, height and width in pixels; each side has at least 4, so that there is an inside."""
    high, wide = (length_of(grid, of[side], 4) for side in ("height", "width"))
    top, left = round(float(of["y"]) * (grid.height - high)), round(float(of["x"]) * (grid.width - wide))
    return top, left, high, wide


def _rectangle_mask(grid: Grid, of: Parameters) -> Alpha:
    top, left, high, wide = _corners(grid, of)
    mask = np.zeros(grid, np.float32)
    mask[top : top + high, left : left + wide] = 1
    return mask


def _texture(rng: Generator, grid: Grid) -> Alpha:
    """Return a texture (H, W) around .8: noise of several grains, or waves bent by noise."""
    size = grid.shorter
    grains = [smooth_noise(rng, grid, knots) for knots in (5, 11, max(13, size // 4), size)]
    weights = rng.dirichlet(np.ones(len(grains)))
    noise = sum(weight * grain for weight, grain in zip(weights, grains, strict=True))
    if rng.random() < 0.5:
        return np.asarray(0.8 + 0.5 * noise, np.float32)
    y, x = np.mgrid[: grid.height, : grid.width] / size
    along = x * np.cos(angle := rng.uniform(0, np.pi)) + y * np.sin(angle)
    waves = np.sin(2 * np.pi * rng.uniform(3, size / 5) * along + 2 * noise)
    return np.asarray(0.8 + 0.5 * waves, np.float32)


def _stretched(knots: NDArray[np.float64], grid: Grid) -> NDArray[np.float64]:
    """Interpolate (H, W) between ``knots``, smoothly (with the cubic of Perlin's noise)."""

    def along(count: int, size: int) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        place = np.linspace(0, count - 1 - 1e-9, size)
        first = place.astype(np.intp)
        rest = place - first
        return first, rest * rest * (3 - 2 * rest)

    (top, down), (left, right) = (along(*sides) for sides in zip(knots.shape, grid, strict=True))
    rows = knots[top] * (1 - down)[:, None] + knots[top + 1] * down[:, None]
    found: NDArray[np.float64] = rows[:, left] * (1 - right) + rows[:, left + 1] * right
    return found


TRANSFORMS = (
    *(
        Transform(f"{shape}-{fill}", partial(draw_filled, shape, fill), partial(filled, shape, fill))
        for shape in ("perlin", "rectangle")
        for fill in ("texture", "colour")
    ),
    Transform("blend", draw_blended, blended),
)

# The five banks that DAF's paper compares: noise masks filled with texture, blended pieces, noise masks of
# one colour, rectangles of texture, and rectangles of one colour.
STRATEGIES: Mapping[str, Mapping[str, float]] = {
    "draem": {"perlin-texture": 1},
    "nsa": {"blend": 1},
    "texture": {"perlin-colour": 1},
    "shape": {"rectangle-texture": 1},
    "both": {"rectangle-colour": 1},
}
