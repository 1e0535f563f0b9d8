"""The grid of a model for which nobody has named one: the proportions of the good parts, so many pixels."""

from collections.abc import Sequence
from pathlib import Path
from statistics import median

from steadyline.errors import InvalidConfiguration, PoisonMessage
from steadyline.grid import DEFAULT_GRID, Grid, grid_for
from steadyline.picture import LARGEST, inspect
from steadyline.picture_folder import printable

GRID_PIXELS = 256 * 256  # frozen features take 33 ms of one core there (docs/results/2026-11-30-plan.md)
MOST_LOOKED_AT = 200  # pictures whose size is looked up


def grid_of(pictures: Sequence[Path]) -> Grid:
    """Return the grid of a model for pictures like these: their proportions, GRID_PIXELS at most and no finer
    than they are. Raises InvalidConfiguration when none of them can be read.
    """
    shapes = []
    for path in pictures[:MOST_LOOKED_AT]:
        try:
            shapes.append(inspect(path.read_bytes(), LARGEST).shape)
        except (PoisonMessage, OSError):
            continue
    if not shapes:
        where = f"{printable(pictures[0].parent)}: " if pictures else ""
        raise InvalidConfiguration(f"{where}none of the pictures can be read")
    own = int(median(height * width for height, width in shapes))
    return grid_for(max(DEFAULT_GRID.pixels, min(GRID_PIXELS, own)), shapes)
