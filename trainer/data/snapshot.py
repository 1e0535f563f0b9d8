"""A snapshot: the prepared frames of one training, their sources, and which of them are held out.

It is one file in the store, named by its own digest. So what a model was trained on is kept, and the bank can
be made again from it byte for byte. The file is one line of JSON (shape, sources) followed by the raw pixels.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from steadyline.contracts.message import AwareDatetime, Part
from steadyline.errors import InvalidConfiguration, PackageRejected
from steadyline.grid import MOST_GRID_PIXELS, Grid
from trainer.arrays import Pictures

HELD_OUT_OF = 5  # one frame in five is never trained on; it serves calibration and evaluation
LEAST_HELD_OUT = 8
LEAST_NORMALS = 24
LEAST_INPUT_SIDE = 8  # of the input that a card may name


class NormalSource(Part):
    """Where a training frame came from; ``camera`` is empty for a frame of the product's folder."""

    id: str
    camera: str = ""
    uri: str
    captured_at: AwareDatetime | None = None
    model_version: int | None = None  # the version whose verdict was normal


class _Head(Part):
    shape: tuple[int, int, int, int]
    sources: list[NormalSource]
    left_out: list[str] = Field(default_factory=list, exclude_if=lambda names: not names)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """``pictures`` is (N, H, W, C) uint8, ordered by the ids of the sources; ``held_out`` is (N,) bool.

    ``left_out`` are the ids of frames that were not believed to be normal, the most suspicious first.
    """

    sources: tuple[NormalSource, ...]
    pictures: Pictures
    held_out: NDArray[np.bool_]
    left_out: tuple[str, ...] = ()

    def pack(self) -> bytes:
        """Return the snapshot as one file; the same frames give the same bytes."""
        n, height, width, channels = self.pictures.shape
        head = _Head(
            shape=(n, height, width, channels), sources=list(self.sources), left_out=list(self.left_out)
        )
        return head.model_dump_json().encode() + b"\n" + self.pictures.tobytes()

    def held_out_ids(self) -> frozenset[str]:
        """Return the ids of the held-out frames."""
        return frozenset(source.id for source in self.held_out_sources())

    def held_out_sources(self) -> list[NormalSource]:
        """Return the source of each held-out frame, in order."""
        return [source for source, out in zip(self.sources, self.held_out, strict=True) if out]


def make_snapshot(
    frames: Sequence[tuple[NormalSource, Pictures]], left_out: tuple[str, ...] = ()
) -> Snapshot:
    """Return the snapshot of prepared frames, each (H, W, C); equal pictures count once.

    Raises InvalidConfiguration when there are fewer than LEAST_NORMALS.
    """
    unique: dict[str, tuple[NormalSource, Pictures]] = {}
    for source, picture in sorted(frames, key=lambda frame: frame[0].id):
        unique.setdefault(_digest(picture), (source, picture))
    if len(unique) < LEAST_NORMALS:
        raise InvalidConfiguration(
            f"{len(unique)} different normal frames are too few to train on: {LEAST_NORMALS} are needed"
            + (f" ({len(left_out)} were not believed to be normal)" if left_out else "")
        )
    ordered = sorted(unique.items(), key=lambda item: item[1][0].id)
    pictures = np.stack([picture for _, (_, picture) in ordered])
    return Snapshot(tuple(source for _, (source, _) in ordered), pictures, split(pictures), left_out)


def unpack(data: bytes) -> Snapshot:
    """Return a packed snapshot; raises PackageRejected when ``data`` is not one."""
    line, _, pixels = data.partition(b"\n")
    try:
        head = _Head.model_validate_json(line)
        pictures = np.frombuffer(pixels, np.uint8).reshape(head.shape)
    except (ValidationError, ValueError) as error:
        raise PackageRejected(f"the snapshot of training frames cannot be read: {error}") from error
    count, height, width, channels = head.shape
    is_of_a_model = min(height, width) >= LEAST_INPUT_SIDE and Grid(height, width).pixels <= MOST_GRID_PIXELS
    if count < 1 or not is_of_a_model or channels not in (1, 3):
        raise PackageRejected(
            f"the snapshot holds {count} frames of {height} x {width} x {channels}, which no model takes"
        )
    if len(head.sources) != len(pictures):
        raise PackageRejected(f"the snapshot names {len(head.sources)} sources of {len(pictures)} frames")
    return Snapshot(tuple(head.sources), pictures, split(pictures), tuple(head.left_out))


def split(pictures: Pictures) -> NDArray[np.bool_]:
    """Return which frames are held out, chosen by the hash of their pixels.

    Later snapshots contain earlier ones, so a frame must never change sides. Otherwise candidate and live
    model would be evaluated on frames that one of them was trained on.
    """
    digests = [_digest(picture) for picture in pictures]
    smallest = set(sorted(digests)[:LEAST_HELD_OUT])
    limit = (1 << 64) // HELD_OUT_OF
    return np.array([int(digest[:16], 16) < limit or digest in smallest for digest in digests])


def held_out_runs(count: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return two runs of neighbours, in file order, that are held out of ``count`` normals: a fifth of them.

    Neighbours were often taken within seconds of each other. Held out one by one, each has its twin in the
    training, and a threshold from such pictures promises what it does not keep on the next batch of parts.
    """
    each = (min(count // 2, max(LEAST_HELD_OUT, round(count / HELD_OUT_OF))) + 1) // 2
    starts = (count // 4 - each // 2, count * 3 // 4 - each // 2)
    first, second = (
        np.arange(max(0, start), min(count, max(0, start) + each), dtype=np.intp) for start in starts
    )
    return first, np.setdiff1d(second, first)


def _digest(picture: Pictures) -> str:
    return hashlib.sha256(np.ascontiguousarray(picture).tobytes()).hexdigest()
