"""Where patches lie in a picture of any grid, and how many are kept at each place, within fixed bounds."""

import math
from dataclasses import dataclass

from steadyline.grid import Grid
from trainer.detectors.certified.profile import CertifiedProfile

MOST_PIXELS = 1 << 17  # compared of a picture; 512 x 208 is within it, a megapixel is averaged by 3 x 3 first
MOST_KEPT = 1 << 24  # floats of all kept patches: 64 MiB of model, and as many differences for each picture
MOST_WORK = 1 << 36  # differences of the choice of the patches to keep: half a minute of one core
LEAST_KEPT = 4


@dataclass(frozen=True, slots=True)
class Layout:
    """How a picture of ``grid`` is compared.

    Squares of ``pool`` x ``pool`` pixels are averaged first. Then there is a patch of ``patch`` x ``patch``
    of these means at every ``stride``-th of them, down and across. Margins that fill no square are left out.
    """

    grid: Grid
    patch: int
    stride: int
    pool: int = 1

    @staticmethod
    def of(grid: Grid, profile: CertifiedProfile) -> "Layout":
        """Return the layout of a grid: averaged by as little as keeps what is compared bounded."""
        pool = math.isqrt(-(-grid.pixels // MOST_PIXELS) - 1) + 1
        return Layout(grid, profile.patch, profile.stride, min(pool, max(1, grid.shorter // profile.patch)))

    @property
    def pooled(self) -> Grid:
        """The grid of the means."""
        return Grid(*(side // self.pool for side in self.grid))

    @property
    def places(self) -> Grid:
        """How many places a patch has, down and across."""
        return Grid(*((side - self.patch) // self.stride + 1 for side in self.pooled))

    def kept(self, channels: int, wanted: int) -> int:
        """Return how many patches are kept at each place, of ``wanted``."""
        return max(LEAST_KEPT, min(wanted, MOST_KEPT // self._size(channels)))

    def most_views(self, channels: int, kept: int) -> int:
        """Return of how many views of normals the patches to keep are chosen at most."""
        return MOST_WORK // (self._size(channels) * kept)

    def _size(self, channels: int) -> int:
        return self.places.pixels * self.patch * self.patch * channels
