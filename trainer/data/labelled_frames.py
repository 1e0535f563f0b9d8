"""The labelled frames of a training: prepared pictures of known defects and judged normals, as one file.

Like a snapshot of normals it lies in the store under its own digest, which the order names.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from steadyline.contracts.feedback import MarkedRegion
from steadyline.contracts.kept_labels import KeptAs
from steadyline.contracts.message import Part
from steadyline.errors import PackageRejected
from steadyline.grid import MOST_GRID_PIXELS, Grid
from trainer.arrays import KnownDefects, Masks, Pictures


class LabelledSource(Part):
    """One labelled frame: its id and camera, what it was called, and where the defect was marked."""

    frame: str
    camera: str
    label: KeptAs
    region: MarkedRegion | None = None


class _LabelledHead(Part):
    shape: tuple[int, int, int, int]
    sources: list[LabelledSource]


@dataclass(frozen=True, slots=True)
class LabelledFrames:
    """``pictures`` is (N, H, W, C) uint8, one for each source."""

    sources: tuple[LabelledSource, ...]
    pictures: Pictures

    @staticmethod
    def of(frames: Sequence[tuple[LabelledSource, Pictures]]) -> "LabelledFrames | None":
        """Return prepared frames, each (H, W, C), ordered by frame id; None when there is none."""
        if not frames:
            return None
        ordered = sorted(frames, key=lambda frame: frame[0].frame)
        return LabelledFrames(
            tuple(source for source, _ in ordered), np.stack([picture for _, picture in ordered])
        )

    @property
    def is_defect(self) -> NDArray[np.bool_]:
        """(N,): True for known defects, False for judged normals."""
        return np.array([source.label == "defect" for source in self.sources], np.bool_)

    def known_defects(self) -> KnownDefects | None:
        """Return the defects for a detector that learns from them; None when there is none."""
        chosen = self.is_defect
        if not chosen.any():
            return None
        marked = [source.region for source in self.sources if source.label == "defect"]
        grid = Grid(*self.pictures.shape[1:3])
        masks = (None if region is None else mask_of(region, grid) for region in marked)
        return KnownDefects(self.pictures[chosen], tuple(masks))

    def pack(self) -> bytes:
        """Return one file; the same frames give the same bytes."""
        n, height, width, channels = self.pictures.shape
        head = _LabelledHead(shape=(n, height, width, channels), sources=list(self.sources))
        return head.model_dump_json().encode() + b"\n" + self.pictures.tobytes()

    @staticmethod
    def unpack(data: bytes) -> "LabelledFrames":
        """Return packed frames; raises PackageRejected when ``data`` is none."""
        line, _, pixels = data.partition(b"\n")
        try:
            head = _LabelledHead.model_validate_json(line)
            pictures = np.frombuffer(pixels, np.uint8).reshape(head.shape).copy()  # torch wants to write
        except (ValidationError, ValueError) as error:
            raise PackageRejected(f"the labelled frames cannot be read: {error}") from error
        if (
            min(head.shape) < 1
            or Grid(*head.shape[1:3]).pixels > MOST_GRID_PIXELS
            or len(head.sources) != len(pictures)
        ):
            raise PackageRejected(f"{len(head.sources)} labelled frames in {head.shape}")
        return LabelledFrames(tuple(head.sources), pictures)


def mask_of(region: MarkedRegion, grid: Grid) -> Masks:
    """Return the mask (H, W) of a marked rectangle: every cell that it touches, one at least."""
    mask = np.zeros(grid, np.bool_)
    rows = _touched(region.y, region.height, grid.height)
    mask[rows, _touched(region.x, region.width, grid.width)] = True
    return mask


def _touched(begin: float, length: float, cells: int) -> slice:
    """Return which of ``cells`` along an axis a stretch in fractions of it touches."""
    first = min(int(begin * cells), cells - 1)
    return slice(first, max(first + 1, min(cells, int(np.ceil((begin + length) * cells)))))
