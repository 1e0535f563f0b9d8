"""Draws normals with defects among them, and what is measured on. Pure but for the reading of the set."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from steadyline.errors import InvalidConfiguration
from trainer.arrays import Pictures
from trainer.data.mvtec import Preparation, read_normals, read_test
from trainer.data.snapshot import LEAST_HELD_OUT, NormalSource, split

DEFECT = "defect"  # the names of defects among the normals begin so
_FEW = 32  # frames of the row with eight held out

Frames = list[tuple[NormalSource, Pictures]]


@dataclass(frozen=True, slots=True)
class ContaminationData:
    """Normals and defects to draw from, and the pictures that are measured on."""

    normals: Pictures
    defects: Pictures
    test: Pictures
    anomalous: NDArray[np.bool_]


def drawn_from(folder: Path, how: Preparation, chance: np.random.Generator) -> ContaminationData:
    """Return the set: half of the defects may be put among the normals, the other half is measured on."""
    normals, test = read_normals(folder, how)[0], read_test(folder, how)
    defects = chance.permutation(np.flatnonzero(test.anomalous))
    half = len(defects) // 2
    measured = np.concatenate([np.flatnonzero(~test.anomalous), defects[half:]])
    return ContaminationData(
        normals[chance.permutation(len(normals))],
        test.pictures[defects[:half]],
        test.pictures[measured],
        test.anomalous[measured],
    )


def _named(normals: Pictures, defects: Pictures) -> Frames:
    pictures = [(f"good{n:04}", picture) for n, picture in enumerate(normals)]
    pictures += [(f"{DEFECT}{n:04}", picture) for n, picture in enumerate(defects)]
    return [(NormalSource(id=name, uri=""), picture) for name, picture in pictures]


def mixed(drawn: ContaminationData, count: int, defective: int) -> Frames:
    """Return ``count`` frames, of which so many are ``defective``; raises InvalidConfiguration when the
    set has too few of either.
    """
    if count - defective > len(drawn.normals) or defective > len(drawn.defects):
        raise InvalidConfiguration(
            f"{count} frames of which {defective} are defective: the set has {len(drawn.normals)} normals "
            f"and {len(drawn.defects)} defective pictures to mix in; lower --count or --share"
        )
    return _named(drawn.normals[: count - defective], drawn.defects[:defective])


def few_held_out(drawn: ContaminationData) -> Frames:
    """Return few frames with just four defects, and those among the eight that are held out."""
    for shift in range(len(drawn.defects) - 4):
        defects = drawn.defects[shift : shift + 4]
        for start in range(0, len(drawn.normals) - _FEW, 4):
            normals = drawn.normals[start : start + _FEW - 4]
            held_out = split(np.concatenate([normals, defects]))
            if held_out.sum() == LEAST_HELD_OUT and held_out[-4:].all():
                return _named(normals, defects)
    raise InvalidConfiguration(
        "no draw of the set has four defects among the eight held out; name the rows by --share"
    )
