"""ELPV: 300 x 300 electroluminescence pictures of solar cells, from the ``elpv-dataset`` package.

Their authors license the pictures under CC BY-NC-SA 4.0, non-commercial (Buerhop-Lutz et al., EU PVSEC 2018;
Deitsch et al., Solar Energy 2019). They are copied from the installed package and never shipped with us. The
split (``elpv_<cells>.csv``) keeps only the sure labels: probability 0 is good, 1 is defective.
"""

import csv
from dataclasses import dataclass
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from PIL import Image

from steadyline.errors import InvalidConfiguration
from steadyline.picture_folder import ANY_DEPTH, find_pictures
from steadyline.replace_file import replace_file

Cells = Literal["mono", "poly"]


@dataclass(frozen=True, slots=True)
class Imported:
    """How many pictures of each kind the folder has."""

    folder: Path
    train_good: int
    test_good: int
    test_defective: int


@dataclass(frozen=True, slots=True)
class _Row:
    picture: str
    split: str
    label: str

    @property
    def place(self) -> Path:
        return Path(self.split) / self.label / self.picture


def import_elpv(folder: Path, cells: Cells = "mono") -> Imported:
    """Lay ELPV out under ``folder`` as train/good, test/good and test/defective; return the counts.

    A second run completes what a killed one left. Raises InvalidConfiguration when the package is missing,
    when one of its pictures is missing or cannot be read, or when ``folder`` holds other pictures.
    """
    pictures = _package_pictures()
    rows = _split(cells)
    _refuse_strangers(folder, rows)
    for row in rows:
        _bring(pictures / row.picture, folder / row.place)
    found = [(row.split, row.label) for row in rows]
    return Imported(
        folder,
        found.count(("train", "good")),
        found.count(("test", "good")),
        found.count(("test", "defective")),
    )


def _package_pictures() -> Path:
    spec = find_spec("elpv_dataset")
    if spec is None or spec.origin is None:
        raise InvalidConfiguration(
            "the ELPV pictures come with the package elpv-dataset: pip install 'steadyline[demo]'"
        )
    return Path(spec.origin).parent / "data" / "images"


def _split(cells: Cells) -> list[_Row]:
    text = (files("steadyline.datasets") / f"elpv_{cells}.csv").read_text(encoding="utf-8")
    return [_Row(row["image"], row["split"], row["label"]) for row in csv.DictReader(text.splitlines())]


def _refuse_strangers(folder: Path, rows: list[_Row]) -> None:
    ours = {row.place for row in rows}
    for part in ("train", "test"):
        place = folder / part
        for path in find_pictures(place, ANY_DEPTH, endings=None).files if place.is_dir() else ():
            if path.relative_to(folder) not in ours:
                raise InvalidConfiguration(f"{folder} is not empty: {path} does not belong to this set")


def _bring(source: Path, target: Path) -> None:
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with Image.open(source) as picture:
            picture.verify()
        replace_file(target, source.read_bytes())
    except (OSError, SyntaxError) as error:
        raise InvalidConfiguration(
            f"elpv-dataset's picture {source.name} cannot be copied: {error}"
        ) from error
