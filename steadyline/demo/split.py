"""Split a set in MVTec layout into training normals, held-out frames and one stream per camera."""

import random
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from steadyline.demo.plan import CAMERAS, DemoPlan
from steadyline.errors import InvalidConfiguration
from steadyline.picture_folder import find_pictures, printable, sub_folders

GOOD_PER_DEFECTIVE = 4  # in the stream, so that operators see both within seconds


@dataclass(frozen=True, slots=True)
class Split:
    """Files by use; ``first`` and ``more`` are training normals, the others are never trained on.

    ``left_out`` says in sentences which names of the folders are used for nothing.
    """

    first: list[Path]
    more: list[Path]
    held_out: list[tuple[str, Path]]  # (label folder, file)
    streams: dict[str, list[Path]]
    left_out: tuple[str, ...] = ()


def split_dataset(dataset: Path, first_normals: int, seed: int = 0) -> Split:
    """Return the split, equal for equal files and seed; raises InvalidConfiguration on a wrong layout."""
    rng = random.Random(seed)
    left_out: list[str] = []
    train = _frames(dataset / "train" / "good", left_out)
    good = _frames(dataset / "test" / "good", left_out)
    defective = [
        (folder.name, path)
        for folder in sub_folders(dataset / "test")
        if folder.name != "good"
        for path in _frames(folder, left_out)
    ]
    if len(train) < 20 or len(good) < 6 or len(defective) < 6:
        raise InvalidConfiguration(
            f"{dataset}: {len(train)} training normals, {len(good)} good and {len(defective)} defective test "
            "frames; the demonstration needs at least 20, 6 and 6 (train/good, test/good, test/<defect>)"
        )
    rng.shuffle(train)
    rng.shuffle(good)
    rng.shuffle(defective)
    first = min(first_normals, max(10, len(train) * 2 // 3))
    half_good, half_defective = len(good) // 2, len(defective) // 2
    held_out = [("good", path) for path in good[:half_good]] + defective[:half_defective]
    stream_good = good[half_good:]
    stream_defective = [path for _, path in defective[half_defective:]]
    streams = _streams(stream_good, stream_defective, rng)
    return Split(train[:first], train[first:], held_out, streams, tuple(left_out))


def lay_out(split: Split, plan: DemoPlan) -> None:
    """Write the first normals, the held-out set and the streams; ``add_normals`` adds the others later."""
    _copy(split.first, plan.normals / "train" / "good")
    for label, path in split.held_out:
        _copy([path], plan.held_out / "test" / label)
    _copy(split.first, plan.held_out / "train" / "good")
    for camera, paths in split.streams.items():
        folder = plan.stream / camera
        folder.mkdir(parents=True)
        for index, path in enumerate(paths):
            shutil.copyfile(path, folder / f"{index:04}-{path.stem}{path.suffix}")


def add_normals(split: Split, plan: DemoPlan) -> int:
    """Add the remaining normals to the training folder and return their number."""
    _copy(split.more, plan.normals / "train" / "good")
    return len(split.more)


def _streams(good: Sequence[Path], defective: Sequence[Path], rng: random.Random) -> dict[str, list[Path]]:
    streams: dict[str, list[Path]] = {}
    for index, camera in enumerate(CAMERAS):
        mine = list(good[index :: len(CAMERAS)])
        bad = list(defective[index :: len(CAMERAS)])[: max(1, len(mine) // GOOD_PER_DEFECTIVE)]
        both = mine + bad
        rng.shuffle(both)
        streams[camera] = both
    return streams


def _frames(folder: Path, left_out: list[str]) -> list[Path]:
    if not folder.is_dir():
        raise InvalidConfiguration(
            f"{folder} is missing: a set in MVTec layout has train/good and test/<label>"
        )
    found = find_pictures(folder)
    left_out += [f"{printable(folder)}: left out, {why}: {names}" for why, names in found.reasons().items()]
    return list(found.files)


def _copy(paths: Sequence[Path], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for path in paths:
        shutil.copyfile(path, folder / path.name)
