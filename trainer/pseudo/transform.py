"""What a transform is: its parameters are drawn once and stored, and applying them is a pure function."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from steadyline.grid import Grid

Picture = NDArray[np.float32]  # (H, W, C) in [0, 1]
Alpha = NDArray[np.float32]  # (H, W) in [0, 1]: the opacity of the defect at each pixel
Parameters = dict[str, float | int | str]

Draw = Callable[[Generator], Parameters]
Apply = Callable[[Picture, Picture, Parameters], Picture]


@dataclass(frozen=True, slots=True)
class Transform:
    """``draw`` chooses parameters that fit any grid: lengths are fractions of the shorter side, so that no
    defect is stretched, and places are fractions of height and width.

    ``apply(picture, donor, parameters)`` returns the distorted picture; ``donor`` is another normal, which
    lends texture. The same three arguments always give the same picture.
    """

    name: str
    draw: Draw
    apply: Apply


def grid_of(picture: Picture) -> Grid:
    """Return height and width of a picture."""
    return Grid(*picture.shape[:2])


def length_of(grid: Grid, share: float | str, least: int) -> int:
    """Return a length in pixels: a share of the shorter side, ``least`` at least."""
    return max(least, round(float(share) * grid.shorter))


def log_uniform(rng: Generator, low: float, high: float) -> float:
    """Return a number between ``low`` and ``high`` whose logarithm is uniform."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def one_of(rng: Generator, *values: float) -> float:
    """Return one of ``values`` with equal chance; a value that is repeated is more likely."""
    return float(values[int(rng.integers(len(values)))])


def details(parameters: Parameters) -> Generator:
    """Return the generator for a shape's fine details, made from the seed in its parameters."""
    return np.random.default_rng(int(parameters["seed"]))


def new_seed(rng: Generator) -> int:
    """Return a seed for ``details``."""
    return int(rng.integers(1 << 31))
