"""What a folder of good parts is: sizes, pose, kind, what is left out, and what its number buys. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from trainer.arrays import Pictures

ALIGNED = 0.5  # of a picture's variance that the mean picture keeps, from which on parts lie in their place
COARSE = 0.3  # of a picture's variance that blocks of an eighth keep, from which on it shows an object
ALIKE = 0.98  # correlation of what two pictures have beside the mean picture: two takes of one part
MOST_COMPARED = 2000  # pictures; their correlations are a table of as many rows and columns
COARSEST_BOUND = 0.02  # on false alarms: with fewer normals a plan says that the threshold promises little

Pose = Literal["in its place", "in any pose"]
Kind = Literal["object", "texture"]


@dataclass(frozen=True, slots=True)
class Look:
    """What all pictures together show: ``kept`` and ``coarse`` are what ALIGNED and COARSE judge."""

    kept: float
    coarse: float

    @property
    def pose(self) -> Pose:
        """Whether the parts lie in their place."""
        return "in its place" if self.kept >= ALIGNED else "in any pose"

    @property
    def kind(self) -> Kind:
        """Whether the pictures show an object, or a texture that looks the same everywhere."""
        return "object" if self.kept >= ALIGNED or self.coarse >= COARSE else "texture"


def look_at(small: Pictures) -> Look:
    """Return what small pictures (N, h, w, 1) of equal size show together."""
    values = small[..., 0].astype(np.float64)
    own = float(values.var(axis=(1, 2)).mean())
    if own == 0:
        return Look(1.0, 0.0)
    kept = float(values.mean(axis=0).var()) / own
    rows, columns = (np.array_split(np.arange(side), min(8, side)) for side in values.shape[1:])
    blocks = np.stack([values[:, rows_of][:, :, of].mean(axis=(1, 2)) for rows_of in rows for of in columns])
    return Look(min(1.0, kept), min(1.0, float(blocks.var(axis=0).mean()) / own))


def near_duplicates(small: Pictures) -> dict[int, int]:
    """Return picture → an earlier one that shows the same part, of small pictures (N, h, w, 1).

    What the mean picture explains does not count, because parts in their place are alike anyway.
    """
    count = min(len(small), MOST_COMPARED)
    if count < 3:
        return {}
    values = small[:count].reshape(count, -1).astype(np.float32)
    rest = values - values.mean(axis=0)
    rest -= rest.mean(axis=1, keepdims=True)
    rest /= np.linalg.norm(rest, axis=1, keepdims=True) + 1e-6
    found: dict[int, int] = {}
    for index in range(1, count):
        like = rest[:index] @ rest[index]
        earlier = int(like.argmax())
        if like[earlier] >= ALIKE:
            found[index] = found.get(earlier, earlier)
    return found


def promised(held_out: int, wanted: float) -> float:
    """Return the least false-alarm rate that a threshold from so many held-out normals bounds.

    It is the conformal bound of ``trainer.jobs.calibrate``: the largest of n scores is passed by a new normal
    with probability 1 / (n + 1) at most.
    """
    return max(wanted, 1 / (held_out + 1))


def size_text(sizes: Sequence[tuple[int, int]]) -> str:
    """Return the sizes (height, width) of frames as a person reads them, the commonest first."""
    counts: dict[tuple[int, int], int] = {}
    for size in sizes:
        counts[size] = counts.get(size, 0) + 1
    named = sorted(counts, key=lambda size: (-counts[size], size))
    text = ", ".join(f"{height} x {width}" for height, width in named[:3])
    return text + (f" and {len(named) - 3} other sizes" if len(named) > 3 else "")


def left_out_text(left_out: Mapping[str, str]) -> str:
    """Return what was left out and why; "" when nothing was."""
    named = [f"{name} ({why})" for name, why in list(left_out.items())[:8]]
    return ", ".join(named) + (f" and {len(left_out) - 8} more" if len(left_out) > 8 else "")
