"""Frames of a synthetic part as a camera sends them: JPEG files, some of them defective."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from producers.sources.address import SyntheticOptions
from producers.sources.synthetic import render
from steadyline.grid import Grid
from steadyline.inference import Pixels
from steadyline.picture import PictureLimits, decode, encode_jpeg, inspect
from steadyline.prepare import prepare

SIDE = 300  # in pixels, like the cells of the ELPV data set
MODEL_SIDE = 64
DISTINCT = 64
DEFECT_RATE = 0.02
LIMITS = PictureLimits(6 << 20, 40_000_000)


@lru_cache(maxsize=4)
def jpegs(count: int = DISTINCT, side: int = SIDE, first: int = 1) -> Sequence[bytes]:
    """Return ``count`` distinct encoded frames; the same arguments give the same frames."""
    options = SyntheticOptions.model_validate({"size": side, "defect_rate": DEFECT_RATE})
    return [encode_jpeg(render(options, sequence)) for sequence in range(first, first + count)]


def good_parts(count: int) -> Pixels:
    """Return pictures of parts without a defect as the model takes them, (N, S, S, 1) uint8."""
    options = SyntheticOptions.model_validate({"size": SIDE, "defect_rate": 0.0})
    parts = [
        prepare(render(options, 10_000 + number), Grid.square(MODEL_SIDE), "gray") for number in range(count)
    ]
    return np.stack(parts)


def prepared(pictures: Sequence[bytes]) -> Pixels:
    """Return encoded frames as the scorer's model input, (N, S, S, 1) uint8."""
    parts = [
        prepare(decode(data, inspect(data, LIMITS), "gray"), Grid.square(MODEL_SIDE), "gray")
        for data in pictures
    ]
    return np.stack(parts)


def write_folder(folder: Path, pictures: Sequence[bytes]) -> Path:
    """Write frames as files of a folder, for a ``folder:`` camera."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(pictures):
        (folder / f"part-{number:04}.jpg").write_bytes(data)
    return folder
