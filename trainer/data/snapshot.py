"""A snapshot: the prepared frames of one training, their sources, and which of them are held out.

It is one file in the store, named by its own digest. So what a model was trained on is kept, and the bank can
be made again from it byte for byte. The file is one line of JSON (shape, sources) followed by the raw pixels.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from steadyline.contracts.message import AwareDatetime, Part
from steadyline.contracts.model_event import Model
from steadyline.errors import InvalidConfiguration, PackageRejected
from steadyline.grid import MOST_GRID_PIXELS, Grid
from trainer.arrays import Pictures

HELD_OUT_OF = 5  # one frame in five is never trained on; it serves calibration and evaluation
LEAST_HELD_OUT = 8
LEAST_NORMALS = 24
LEAST_INPUT_SIDE = 8  # of the input that a card may name
NEIGHBOURS = 4  # frames of consecutive numbers that are held out, or trained on, together

HeldOutBy = Literal["groups", "pixels"]
HELD_OUT_BY = "held_out_by"  # the name of it in a model's lineage; models of an earlier release have none

_LIMIT = (1 << 64) // HELD_OUT_OF
_LAST_NUMBER = re.compile(r"(.*?)(\d{1,18})(\D*)", re.DOTALL)


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
    held_out_by: HeldOutBy = Field("pixels", exclude_if=lambda by: by == "pixels")
    left_out: list[str] = Field(default_factory=list, exclude_if=lambda names: not names)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """``pictures`` is (N, H, W, C) uint8, ordered by the ids of the sources; ``held_out`` is (N,) bool.

    It was chosen ``held_out_by`` groups of neighbours; in a snapshot of an earlier release frame by frame.
    ``left_out`` are the ids of frames that were not believed to be normal, the most suspicious first.
    """

    sources: tuple[NormalSource, ...]
    pictures: Pictures
    held_out: NDArray[np.bool_]
    left_out: tuple[str, ...] = ()
    held_out_by: HeldOutBy = "groups"

    def by_pixels(self) -> "Snapshot":
        """Return the same frames, held out one by one as an earlier release did."""
        return replace(self, held_out=split(self.pictures), held_out_by="pixels")

    def pack(self) -> bytes:
        """Return the snapshot as one file; the same frames give the same bytes."""
        n, height, width, channels = self.pictures.shape
        head = _Head(
            shape=(n, height, width, channels),
            sources=list(self.sources),
            held_out_by=self.held_out_by,
            left_out=list(self.left_out),
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
    sources = tuple(source for _, (source, _) in ordered)
    return Snapshot(sources, pictures, split_by_groups(sources, pictures), left_out)


def held_out_as_live(snapshot: Snapshot, live: Model | None) -> Snapshot:
    """Return a snapshot that holds out by the rule of the live model's, so that neither model is judged on
    frames that it was trained on.
    """
    if live is None or live.lineage.get(HELD_OUT_BY) == "groups":
        return snapshot
    return snapshot.by_pixels()


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
    by_groups = head.held_out_by == "groups"
    held_out = split_by_groups(head.sources, pictures) if by_groups else split(pictures)
    return Snapshot(tuple(head.sources), pictures, held_out, tuple(head.left_out), head.held_out_by)


def split_by_groups(sources: Sequence[NormalSource], pictures: Pictures) -> NDArray[np.bool_]:
    """Return which frames are held out: about one in five, neighbours together.

    Frames that were taken within seconds of each other are twins: held out one by one, each has its twin in
    the training, and a threshold from such frames promises what it does not keep on the next batch of parts.
    Groups are small, so that of few frames some are left to train on; where they are not, each frame goes its
    own way.
    """
    groups = [group_of(source) for source in sources]
    chosen = _held_out_groups(Counter(groups))
    held_out = np.array([group in chosen for group in groups])
    return held_out if (~held_out).sum() >= LEAST_HELD_OUT else split(pictures)


def split(pictures: Pictures) -> NDArray[np.bool_]:
    """Return which pictures are held out, each by the hash of its pixels.

    Later snapshots contain earlier ones, so a frame must never change sides. Otherwise candidate and live
    model would be evaluated on frames that one of them was trained on.
    """
    digests = [_digest(picture) for picture in pictures]
    smallest = set(sorted(digests)[:LEAST_HELD_OUT])
    return np.array([int(digest[:16], 16) < _LIMIT or digest in smallest for digest in digests])


def group_of(source: NormalSource) -> str:
    """Return what a frame has in common with its neighbours, which later snapshots do not change.

    That is its name with the last number in it, of which NEIGHBOURS in a row go together: of a file, or of a
    frame of the stream, whose name ends with its sequence. A name without a number is a group by itself.
    """
    numbered = _LAST_NUMBER.fullmatch(source.id)
    if numbered is None:
        return source.id
    before, number, after = numbered.groups()
    return f"{before}{int(number) // NEIGHBOURS}{after}"


def _held_out_groups(sizes: Mapping[str, int]) -> frozenset[str]:
    """Return the groups whose hash is small, and as many of the next as LEAST_HELD_OUT frames need.

    More groups only ever push others out of it, so that nothing that was trained on is held out later.
    """
    chosen, count = set(), 0
    for group in sorted(sizes, key=_text_digest):
        if int(_text_digest(group)[:16], 16) >= _LIMIT and count >= LEAST_HELD_OUT:
            break
        chosen.add(group)
        count += sizes[group]
    return frozenset(chosen)


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


def _text_digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _digest(picture: Pictures) -> str:
    return hashlib.sha256(np.ascontiguousarray(picture).tobytes()).hexdigest()
