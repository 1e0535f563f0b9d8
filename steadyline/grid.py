"""The grid of a prepared picture: its height and width in pixels, as text, and how it is chosen. Pure."""

import math
import re
from collections.abc import Iterable
from statistics import median
from typing import Any, NamedTuple

from typing_extensions import override

from steadyline.errors import InvalidConfiguration

LEAST_SIDE, MOST_SIDE = 16, 4096
MOST_GRID_PIXELS = 1 << 22  # 2,048 x 2,048; the arrays of a training hold hundreds of them
MULTIPLE = 16  # of both sides of a chosen grid: networks halve a picture four times
BATCH_PIXELS = 1 << 21  # of one request: a model's inner layers take hundreds of bytes a pixel
MOST_DISTORTION = 1.2  # of a camera's frames, from which on it is said; 4:3 made square has 1.33
_ENOUGH = 0.8  # of the pixels asked for; a chosen grid gives up that much to keep the frames' proportions
_TEXT = re.compile(r"([0-9]{1,5})x([0-9]{1,5})")


class Grid(NamedTuple):
    """``height`` and ``width`` of the pictures that a model takes, in pixels."""

    height: int
    width: int

    @staticmethod
    def square(side: int) -> "Grid":
        """Return the grid of ``side`` x ``side`` pixels."""
        return Grid(side, side)

    @staticmethod
    def of(size: int, width: int | None) -> "Grid":
        """Return the grid of a message, which tells the width only where it is not the height."""
        return Grid(size, size if width is None else width)

    @staticmethod
    def parse(text: str) -> "Grid":
        """Return the grid that ``text`` (HEIGHTxWIDTH) names; raises ValueError when it names none."""
        found = _TEXT.fullmatch(text.strip())
        if found is None:
            raise ValueError(f"a grid is HEIGHTxWIDTH in pixels, 512x208 for example, not {text[:40]!r}")
        grid = Grid(int(found[1]), int(found[2]))
        grid.check()
        return grid

    def check(self) -> None:
        """Raise ValueError unless a model may take pictures of this grid."""
        if not all(LEAST_SIDE <= side <= MOST_SIDE for side in self):
            raise ValueError(f"a side of the grid {self} is not within {LEAST_SIDE} to {MOST_SIDE} pixels")
        if self.pixels > MOST_GRID_PIXELS:
            raise ValueError(f"the grid {self} has {self.pixels} pixels; {MOST_GRID_PIXELS} are the most")

    @override
    def __str__(self) -> str:
        """Return HEIGHTxWIDTH, which ``parse`` reads."""
        return f"{self.height}x{self.width}"

    @property
    def pixels(self) -> int:
        """How many pixels a picture has."""
        return self.height * self.width

    @property
    def told_width(self) -> int | None:
        """The width as messages tell it: None where it is the height, as in all of earlier releases."""
        return None if self.width == self.height else self.width

    @property
    def shorter(self) -> int:
        """The shorter side in pixels."""
        return min(self)

    def batch(self, most: int) -> int:
        """Return how many pictures may be asked for at once, of at most ``most``: fewer as they grow."""
        return max(1, min(most, BATCH_PIXELS // self.pixels))

    def distortion(self, height: int, width: int) -> float:
        """Return by how much a frame of ``height`` x ``width`` pixels is stretched along one side, ≥ 1."""
        ratio = (self.width * height) / (self.height * width)
        return max(ratio, 1 / ratio)

    def note(self, frames: Iterable[tuple[int, int]]) -> str | None:
        """Return what a person should read when this grid distorts frames (height, width); None when it
        distorts none by more than MOST_DISTORTION.
        """
        seen = list(frames)
        worst = max(seen, key=lambda frame: self.distortion(*frame), default=None)
        if worst is None or self.distortion(*worst) <= MOST_DISTORTION:
            return None
        kept = grid_for(self.pixels, seen)
        return (
            f"frames of {worst[0]} x {worst[1]} pixels (height x width) are stretched "
            f"{self.distortion(*worst):.2f} times to the grid {self}"
            + (f"; the grid {kept} keeps their proportions" if kept.distortion(*worst) < 1.1 else "")
        )


DEFAULT_GRID = Grid.square(64)


def parse_grid(value: Any) -> Any:
    """Turn ``512x208`` or a list of both sides into a Grid; pydantic handles everything else."""
    if isinstance(value, str):
        return Grid.parse(value)
    if isinstance(value, list | tuple) and len(value) == 2 and all(type(side) is int for side in value):
        grid = Grid(*value)
        grid.check()
        return grid
    raise ValueError("a grid is HEIGHTxWIDTH in pixels, 512x208 for example")


def grid_option(name: str, text: str) -> Grid:
    """Return the grid that an option gives, as HEIGHTxWIDTH or as the side of a square; raises
    InvalidConfiguration with the option's name.
    """
    try:
        return Grid.parse(f"{text}x{text}" if text.isdecimal() else text)
    except ValueError as error:
        raise InvalidConfiguration(f"{name}: {error}") from error


def grid_for(pixels: int, frames: Iterable[tuple[int, int]]) -> Grid:
    """Return the grid of at most ``pixels`` that keeps the median proportions of frames (height, width).

    Its sides are multiples of MULTIPLE. Of all grids that use four fifths of the pixels or more, it is the
    one that distorts a frame of the median proportions least, and of equal ones the largest; a smaller one
    where only that keeps the proportions. Raises
    InvalidConfiguration when there is no frame or when the pixels are too few for any grid.
    """
    shapes = list(frames)
    if not shapes or pixels < LEAST_SIDE * LEAST_SIDE:
        raise InvalidConfiguration(
            f"no grid of {pixels} pixels for {len(shapes)} frames: {LEAST_SIDE * LEAST_SIDE} pixels and one "
            "frame are the least"
        )
    aspect = math.exp(median(math.log(width / height) for height, width in shapes))
    most = min(pixels, MOST_GRID_PIXELS)

    def distortion(grid: Grid) -> float:
        ratio = grid.width / (grid.height * aspect)
        return max(ratio, 1 / ratio)

    sides = range(LEAST_SIDE, MOST_SIDE + 1, MULTIPLE)
    widths = ((height, round(height * aspect / MULTIPLE) * MULTIPLE) for height in sides)
    fitting = [
        Grid(height, min(max(width, LEAST_SIDE), most // height // MULTIPLE * MULTIPLE, MOST_SIDE))
        for height, width in widths
        if height * LEAST_SIDE <= most
    ]
    large = max(grid.pixels for grid in fitting if distortion(grid) <= min(map(distortion, fitting)) * 1.25)
    wanted = min(_ENOUGH * most, large)
    return min(
        (grid for grid in fitting if grid.pixels >= wanted),
        key=lambda grid: (round(distortion(grid), 6), -grid.pixels),
    )
