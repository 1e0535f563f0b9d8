"""What a transform is: its parameters are drawn once and stored, and applying them is a pure function."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Picture = NDArray[np.float32]  # (S, S, C) in [0, 1]
Alpha = NDArray[np.float32]  # (S, S) in [0, 1]: the opacity of the defect at each pixel
Parameters = dict[str, float | int | str]

Draw = Callable[[Generator], Parameters]
Apply = Callable[[Picture, Picture, Parameters], Picture]


@dataclass(frozen=True, slots=True)
class Transform:
    """``draw`` chooses parameters; lengths are fractions of the side, so that they fit any size.

    ``apply(picture, donor, parameters)`` returns the distorted picture; ``donor`` is another normal, which
    lends texture. The same three arguments always give the same picture.
    """

    name: str
    draw: Draw
    apply: Apply


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
