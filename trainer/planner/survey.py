"""Read a folder of good parts: what of it is used, what is left out and why, and what is held out."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from steadyline.errors import InvalidConfiguration
from steadyline.grid import Grid
from steadyline.picture_folder import printable
from steadyline.prepare import Channels, prepare
from trainer.arrays import Pictures
from trainer.data.mvtec import read_native
from trainer.data.normals import folder_files
from trainer.data.outliers import far_from_all_others
from trainer.data.snapshot import LEAST_NORMALS, held_out_runs
from trainer.planner.look import Look, look_at, near_duplicates

MOST_TRAINED, MOST_BLOCK = 160, 30  # pictures of a short training, and of each held-out block
_SMALL = Grid.square(64)
_COLOURED = 2.0  # of 255, mean distance between two channels, from which on pictures are coloured


@dataclass(frozen=True, slots=True)
class Survey:
    """A folder as the planner sees it.

    ``used`` are its pictures in file order, of ``sizes`` (height, width), ``left_out`` says why others are
    not. ``trained`` and ``blocks`` are those that a short training and its judgement take. ``held_out`` is
    how many a whole training holds out.
    """

    used: tuple[Path, ...]
    left_out: dict[str, str]
    sizes: tuple[tuple[int, int], ...]
    channels: Channels
    look: Look
    trained: tuple[Path, ...]
    blocks: tuple[tuple[Path, ...], tuple[Path, ...]]
    held_out: int


def survey(folder: Path) -> Survey:
    """Return what a folder holds; raises InvalidConfiguration when too few pictures can be used."""
    left_out: dict[str, str] = {}
    paths, sizes, small, colours = [], [], [], []
    for path in folder_files(folder):
        try:
            pixels = read_native(path, "rgb")[0]
        except InvalidConfiguration:
            left_out[printable(Path(path.name))] = "cannot be read"
            continue
        paths.append(path)
        sizes.append((pixels.shape[0], pixels.shape[1]))
        small.append(prepare(pixels, _SMALL, "gray"))
        colours.append(_colour(prepare(pixels, _SMALL, "rgb")))
    kept = _believed(paths, small, left_out)
    if len(kept) < LEAST_NORMALS:
        raise InvalidConfiguration(
            f"{len(kept)} of {len(kept) + len(left_out)} pictures in {printable(folder)} can be used, and "
            f"{LEAST_NORMALS} are the least to plan with"
        )
    used = tuple(paths[at] for at in kept)
    first, second = held_out_runs(len(used))
    rest = np.setdiff1d(np.arange(len(used)), np.concatenate([first, second]))
    return Survey(
        used=used,
        left_out=left_out,
        sizes=tuple(sizes[at] for at in kept),
        channels="rgb" if float(np.median([colours[at] for at in kept])) > _COLOURED else "gray",
        look=look_at(np.stack([small[at] for at in kept])),
        trained=_thinned([used[at] for at in rest], MOST_TRAINED),
        blocks=(
            _thinned([used[at] for at in first], MOST_BLOCK),
            _thinned([used[at] for at in second], MOST_BLOCK),
        ),
        held_out=len(first) + len(second),
    )


def natives(paths: Sequence[Path], channels: Channels) -> list[Pictures]:
    """Return pictures (H, W, C) as the camera took them; raises InvalidConfiguration when it cannot."""
    return [read_native(path, channels)[0] for path in paths]


def _believed(paths: Sequence[Path], small: Sequence[Pictures], left_out: dict[str, str]) -> list[int]:
    """Return the places of the pictures that are used; the others are named in ``left_out``."""
    if not paths:
        return []
    twins = near_duplicates(np.stack(small))
    for at, earlier in twins.items():
        left_out[printable(Path(paths[at].name))] = f"shows the same part as {paths[earlier].name}"
    single = [at for at in range(len(paths)) if at not in twins]
    far = far_from_all_others(np.stack([small[at] for at in single]))
    for place in far:
        left_out[printable(Path(paths[single[place]].name))] = "too far from all others to be believed"
    return [at for place, at in enumerate(single) if place not in far]


def _colour(pixels: Pictures) -> float:
    apart = np.abs(np.diff(pixels.astype(np.int16), axis=2))
    return float(apart.mean())


def _thinned(paths: Sequence[Path], most: int) -> tuple[Path, ...]:
    """Return at most so many of the paths, spread evenly."""
    if len(paths) <= most:
        return tuple(paths)
    return tuple(paths[at] for at in np.unique(np.linspace(0, len(paths) - 1, most).round().astype(int)))
