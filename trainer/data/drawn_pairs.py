"""Defects drawn into held-out normals at the camera's own pixels, as the model of a training takes them.

Like the training's snapshot they lie in the store under their own digest, which the model's lineage names.
The normals lie in that snapshot, so the file holds only what the defects changed: one line of JSON, then the
changed pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import Field, ValidationError

from steadyline.contracts.message import Part
from steadyline.errors import PackageRejected
from trainer.arrays import Pictures
from trainer.data.snapshot import Snapshot

DRAWN_PAIRS = "drawn_pairs"  # the name of their digest in a model's lineage
MOST_PAIRS = 512
MOST_PIXEL_BYTES = 63 << 20  # changed ones
MOST_PACKED_BYTES = 64 << 20

_Place = tuple[int, int, int, int, int]  # the normal's place in the snapshot, top, left, height, width


class _DrawnHead(Part):
    shape: tuple[int, int, int]
    places: list[_Place] = Field(max_length=MOST_PAIRS)


@dataclass(frozen=True, slots=True)
class DrawnPair:
    """A defect in the frame ``normal`` of a snapshot: ``changed`` (h, w, C) lies at ``top``, ``left``.

    Nothing is changed where the way to the model's input has averaged the defect away.
    """

    normal: int
    top: int
    left: int
    changed: Pictures

    @staticmethod
    def of(normal: int, before: Pictures, after: Pictures) -> "DrawnPair":
        """Return what a defect has made of the model's input ``before``, both (H, W, C)."""
        different = (before != after).any(axis=2)
        rows, columns = np.flatnonzero(different.any(axis=1)), np.flatnonzero(different.any(axis=0))
        if not len(rows):
            return DrawnPair(normal, 0, 0, before[:0, :0])
        top, left = int(rows[0]), int(columns[0])
        return DrawnPair(normal, top, left, after[top : rows[-1] + 1, left : columns[-1] + 1].copy())

    def drawn_into(self, normal: Pictures) -> Pictures:
        """Return the defective picture (H, W, C), given its own normal."""
        height, width = self.changed.shape[:2]
        picture = normal.copy()
        picture[self.top : self.top + height, self.left : self.left + width] = self.changed
        return picture


@dataclass(frozen=True, slots=True)
class DrawnPairs:
    """The pairs of one training, and the ``shape`` (H, W, C) of its input."""

    shape: tuple[int, int, int]
    pairs: tuple[DrawnPair, ...]

    @staticmethod
    def of(shape: tuple[int, int, int], pairs: Sequence[DrawnPair]) -> "DrawnPairs":
        """Return the first of ``pairs``, as many as one file may hold."""
        sizes = np.cumsum([pair.changed.nbytes for pair in pairs[:MOST_PAIRS]])
        return DrawnPairs(shape, tuple(pairs[: int((sizes <= MOST_PIXEL_BYTES).sum())]))

    def pack(self) -> bytes:
        """Return the pairs as one file; the same pairs give the same bytes."""
        places = [(pair.normal, pair.top, pair.left, *pair.changed.shape[:2]) for pair in self.pairs]
        head = _DrawnHead(shape=self.shape, places=places)
        pixels = b"".join(pair.changed.tobytes() for pair in self.pairs)
        return head.model_dump_json().encode() + b"\n" + pixels

    @staticmethod
    def unpack(data: bytes, snapshot: Snapshot) -> "DrawnPairs":
        """Return packed pairs; raises PackageRejected unless they were drawn into held-out frames of
        ``snapshot``.
        """
        line, _, pixels = data.partition(b"\n")
        try:
            head = _DrawnHead.model_validate_json(line)
        except ValidationError as error:
            raise PackageRejected(f"the drawn pairs cannot be read: {error}") from error
        if head.shape != snapshot.pictures.shape[1:]:
            raise PackageRejected(
                f"the drawn pairs are of {head.shape}, and their normals of {snapshot.pictures.shape[1:]}"
            )
        areas = [_area(place, snapshot) for place in head.places]
        ends = np.cumsum([0, *areas], dtype=np.int64)
        if ends[-1] != len(pixels):
            raise PackageRejected(f"the drawn pairs have {len(pixels)} bytes of pixels and name {ends[-1]}")
        flat, depth = np.frombuffer(pixels, np.uint8), head.shape[2]
        found = [
            DrawnPair(normal, top, left, flat[start:end].reshape(height, width, depth))
            for (normal, top, left, height, width), start, end in zip(
                head.places, ends[:-1], ends[1:], strict=True
            )
        ]
        return DrawnPairs(head.shape, tuple(found))


def _area(place: _Place, snapshot: Snapshot) -> int:
    """Return the bytes of a changed rectangle; raises PackageRejected when it lies in no held-out frame."""
    normal, top, left, height, width = place
    shape: tuple[int, ...] = snapshot.pictures.shape
    count, rows, columns, depth = shape
    is_inside = 0 <= top <= top + height <= rows and 0 <= left <= left + width <= columns
    if not (0 <= normal < count and snapshot.held_out[normal] and is_inside):
        raise PackageRejected(f"a drawn pair names {place}, which lies in no held-out frame")
    return height * width * depth
