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
from steadyline.picture import LARGEST_INPUT
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
    """``pictures`` is (N, S, S, C) uint8, one for each source."""

    sources: tuple[LabelledSource, ...]
    pictures: Pictures

    @staticmethod
    def of(frames: Sequence[tuple[LabelledSource, Pictures]]) -> "LabelledFrames | None":
        """Return prepared frames, each (S, S, C), ordered by frame id; None when there is none."""
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
        side = self.pictures.shape[1]
        masks = (None if region is None else mask_of(region, side) for region in marked)
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
        if min(head.shape) < 1 or head.shape[1] > LARGEST_INPUT or len(head.sources) != len(pictures):
            raise PackageRejected(f"{len(head.sources)} labelled frames in {head.shape}")
        return LabelledFrames(tuple(head.sources), pictures)


def mask_of(region: MarkedRegion, side: int) -> Masks:
    """Return the mask (S, S) of a marked rectangle: every cell that it touches, one at least."""
    mask = np.zeros((side, side), np.bool_)
    left, top = (min(int(at * side), side - 1) for at in (region.x, region.y))
    right = max(left + 1, min(side, int(np.ceil((region.x + region.width) * side))))
    bottom = max(top + 1, min(side, int(np.ceil((region.y + region.height) * side))))
    mask[top:bottom, left:right] = True
    return mask
