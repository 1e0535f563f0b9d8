"""The masks that people draw: what they mean, however their tools write them, and whose they are."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from steadyline.errors import InvalidConfiguration
from steadyline.grid import Grid
from steadyline.picture_folder import printable
from steadyline.prepare import resize
from trainer.arrays import Masks, Pictures

_SUFFIX = "_mask"
_FEW_LEVELS = 16  # a mask of so few levels names classes by numbers; JPEG and soft edges have more
_COVERED = 63.5 / 255  # a pixel belongs to the mask when a quarter of what it was resized from does
_SAME_SHAPE = 0.02  # how far the proportions of mask and picture may differ: a rounded thumbnail's


@dataclass(frozen=True, slots=True)
class DrawnMask:
    """A mask as it was read: ``gray`` is (H, W, 1), ``has_soft_edges`` is True for a JPEG."""

    path: Path
    gray: Pictures
    has_soft_edges: bool

    def of_grid(self, grid: Grid, picture: tuple[int, int]) -> Masks:
        """Return (H, W) bool, True on the defect; ``picture`` is the height and width of the mask's picture.

        The lowest level is the background and every other one marks, whatever their values (0 and 255, 0 and
        1, a number for each class). A mask with soft edges marks from the middle of its levels on. A defect
        smaller than a pixel of the input marks the pixel that it covers most. Raises InvalidConfiguration
        when the mask has one level only, or not the proportions of the picture.
        """
        levels, (height, width) = np.unique(self.gray), self.gray.shape[:2]
        if len(levels) < 2:
            raise InvalidConfiguration(
                f"{printable(self.path)} marks nothing, because all its pixels are {levels[0]}: "
                "take it away or draw it again"
            )
        if abs(np.log(width * picture[0] / (height * picture[1]))) > _SAME_SHAPE:
            raise InvalidConfiguration(
                f"{printable(self.path)} has {width} x {height} pixels and its picture {picture[1]} x "
                f"{picture[0]}: draw it on the picture"
            )
        is_soft = self.has_soft_edges or len(levels) > _FEW_LEVELS
        limit = (int(levels[0]) + int(levels[-1])) / 2 if is_soft else levels[0]
        covered = resize((self.gray > limit).astype(np.uint8), grid)[..., 0]
        found: NDArray[np.bool_] = covered >= min(_COVERED, covered.max())
        return found


class MaskFiles:
    """The masks of one folder: that of ``7.png`` is ``7_mask`` or ``7`` with any ending of a picture."""

    def __init__(self, files: Iterable[Path]) -> None:
        self._by_stem = {path.stem: path for path in files}
        self._used: set[Path] = set()

    def of(self, picture: Path) -> Path | None:
        """Return the mask of a picture; None when there is none."""
        for stem in (f"{picture.stem}{_SUFFIX}", picture.stem):
            if stem in self._by_stem:
                self._used.add(self._by_stem[stem])
                return self._by_stem[stem]
        return None

    def unused(self) -> list[Path]:
        """Return the masks that no picture was asked for, sorted."""
        return sorted(set(self._by_stem.values()) - self._used)
