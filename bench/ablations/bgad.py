"""Measures what known defects are worth: ``python -m bench.ablations.bgad --data FOLDER --known 1 --seed 0``.

Known defects are taken from one half of the defective test pictures and are never tested on; the other half
is held back. With several kinds of defects, each kind in turn has no picture among the known ones: it is the
unseen kind. Where nothing is known, seen and unseen are figures of the same pictures, so that columns can be
compared. Masks are used where they exist. Each fit's line of JSON says how many CPU seconds it took.
"""

import hashlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from torch import Tensor
from typing_extensions import override

from bench.command import run_main
from steadyline.grid import Grid
from trainer.arrays import KnownDefects, Pictures, PseudoBank
from trainer.backbone.lite import Lite0
from trainer.data.mvtec import GOOD, Preparation, TestSet, read_normals, read_test
from trainer.data.snapshot import split
from trainer.detector_protocol import FitInput, Fitted, Overrides
from trainer.detectors.bgad.detector import Bgad
from trainer.detectors.bgad.levels import Levels, LevelShape
from trainer.detectors.bgad.vectors import batches
from trainer.evaluation.auroc import auroc
from trainer.evaluation.subject import Scores
from trainer.fit import FitSettings, make_pseudo_anomalies
from trainer.pseudo.entry import in_memory

_SPLIT = 2026  # the seed of the split into halves, which does not change with --seed
COLUMNS = ("seen", "unseen", "all", "chosen_on", "held_back")


class KeptLevels(Levels):
    """Feature levels that compute each picture's features only once, whatever is fitted to them."""

    def __init__(self, network: Lite0, shape: LevelShape) -> None:
        super().__init__(network, shape)
        self._kept = _KEPT.setdefault(str(shape), {})

    @override
    def raw(self, x: Tensor) -> list[Tensor]:
        names = [hashlib.sha256(picture.numpy().tobytes()).digest() for picture in x]
        missing = [index for index, name in enumerate(names) if name not in self._kept]
        if missing:
            found = super().raw(x[missing])
            for row, index in enumerate(missing):
                self._kept[names[index]] = [level[row].half() for level in found]
        return [torch.stack(level).float() for level in zip(*(self._kept[n] for n in names), strict=True)]


_KEPT: dict[str, dict[bytes, list[Tensor]]] = {}


@dataclass(frozen=True, slots=True)
class BgadData:
    """The normals to train on, the test pictures, and which of the test pictures (N,) are held back."""

    normals: Pictures
    held_out: NDArray[np.bool_]
    test: TestSet
    held_back: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class AblationRow:
    """One fit with ``known`` defects, none of them of kind ``unseen`` ("" when every kind may be known)."""

    known: int
    unseen: str
    seed: int


def main(
    data: Annotated[Path, typer.Option(help="Folder of a set in MVTec layout.")],
    known: Annotated[list[int], typer.Option(help="Number of known defects to train with; repeatable.")],
    seed: Annotated[
        list[int], typer.Option(help="Seed of bank, training and choice of known defects; repeatable.")
    ],
    size: Annotated[int, typer.Option(help="Side of the model's input in pixels.")] = 160,
    change: Annotated[
        list[str] | None,
        typer.Option(help="NAME=VALUE replaces a number of the profile; repeatable; by default none."),
    ] = None,
) -> None:
    """Print a line of JSON a fit, then a table: means over the seeds and the kinds left out."""
    overrides = {name: json.loads(value) for name, _, value in (pair.partition("=") for pair in change or [])}
    read = _read(data, size)
    kinds = sorted({kind for kind in read.test.kinds if kind != GOOD})
    found: dict[int, list[dict[str, float]]] = {}
    for number in seed:
        bank = _bank(read, number)
        for row in _rows(known, kinds, number):
            began = time.process_time()
            figures = _row(read, bank, row, overrides)
            spent = round(time.process_time() - began, 1)
            figures = {**figures, "cpu_seconds": spent}
            head = {"known": row.known, "unseen_kind": row.unseen, "seed": number}
            print(json.dumps({**head, **figures}), flush=True)
            found.setdefault(row.known, []).append(figures)
    print(f"| known | {' | '.join(COLUMNS)} |\n|---|{'---|' * len(COLUMNS)}")
    for count, rows in found.items():
        means = [_mean([row[name] for row in rows if name in row]) for name in COLUMNS]
        print(f"| {count} | {' | '.join(means)} |")


def _read(folder: Path, size: int) -> BgadData:
    how = Preparation(Grid.square(size), "gray")
    normals, test = read_normals(folder, how)[0], read_test(folder, how)
    rng = np.random.default_rng(_SPLIT)
    held_back = np.zeros(len(test.kinds), bool)
    for kind in sorted(set(test.kinds)):
        own = rng.permutation(np.flatnonzero(np.array(test.kinds) == kind))
        held_back[own[len(own) // 2 :]] = True
    return BgadData(normals, split(normals), test, held_back)


def _bank(data: BgadData, seed: int) -> PseudoBank:
    made = make_pseudo_anomalies(data.normals, FitSettings("bgad", seed=seed), data.held_out)
    return in_memory(made, ~data.held_out)


def _rows(known: list[int], kinds: list[str], seed: int) -> Iterator[AblationRow]:
    for count in known:
        left_out = kinds if count and len(kinds) > 1 else [""]
        yield from (AblationRow(count, kind, seed) for kind in left_out)


def _row(data: BgadData, bank: PseudoBank, row: AblationRow, overrides: Overrides) -> dict[str, float]:
    chosen = _known(data, row)
    given = FitInput(
        normals=data.normals[~data.held_out],
        bank=bank,
        profile="cpu",
        seed=row.seed,
        known_defects=_as_known(data.test, chosen) if len(chosen) else None,
        overrides=overrides,
    )
    fitted = Bgad(KeptLevels).fit(given, lambda step, total, message: None, None)
    scores = _scores(data.test, fitted)
    return {**aurocs(data, row, chosen, scores), **{k: round(v, 4) for k, v in fitted.figures.items()}}


def _known(data: BgadData, row: AblationRow) -> NDArray[np.intp]:
    """Return which test pictures are known: they are of the half that is not held back, from each kind in
    turn.
    """
    rng = np.random.default_rng([row.seed, _SPLIT])
    kinds = np.array(data.test.kinds)
    pools = [
        rng.permutation(np.flatnonzero((kinds == kind) & ~data.held_back))
        for kind in sorted(set(data.test.kinds) - {GOOD})
    ]
    names = sorted(set(data.test.kinds) - {GOOD})
    allowed = [pool for name, pool in zip(names, pools, strict=True) if name != row.unseen]
    first = int(rng.integers(len(allowed)))
    turns = [
        pool[place]
        for place in range(max(len(pool) for pool in allowed))
        for pool in allowed[first:] + allowed[:first]
        if place < len(pool)
    ]
    return np.array(turns[: row.known], np.intp)


def _as_known(test: TestSet, chosen: NDArray[np.intp]) -> KnownDefects:
    found = [
        test.masks[index] if test.masks is not None and test.located[index] else None for index in chosen
    ]
    return KnownDefects(test.pictures[chosen], tuple(found))


def _scores(test: TestSet, fitted: Fitted) -> Scores:
    with torch.inference_mode():
        found = torch.cat([fitted.module.score_float(x)[0] for x in batches(test.pictures)])
    return np.asarray(found.numpy(), np.float32)


def aurocs(data: BgadData, row: AblationRow, chosen: NDArray[np.intp], scores: Scores) -> dict[str, float]:
    """Return the AUROC of each group of pictures; no group has the ``chosen`` pictures, which are known."""
    kinds = np.array(data.test.kinds)
    tested, good = ~np.isin(np.arange(len(kinds)), chosen), kinds == GOOD
    groups = {
        "all": tested,
        "chosen_on": tested & ~data.held_back,
        "held_back": data.held_back,
    }
    if row.known and not row.unseen:
        groups["seen"] = tested
    found = {name: auroc(scores[group], data.test.anomalous[group]) for name, group in groups.items()}
    sides = [
        (auroc(scores[seen], kinds[seen] != GOOD), auroc(scores[unseen], kinds[unseen] != GOOD))
        for kind in _left_out(row, kinds)
        for seen, unseen in [(tested & (kinds != kind), good | (kinds == kind))]
    ]
    if sides:
        found |= dict(zip(("seen", "unseen"), np.mean(sides, axis=0).tolist(), strict=True))
    return {name: round(value, 4) for name, value in found.items()}


def _left_out(row: AblationRow, kinds: NDArray[np.str_]) -> list[str]:
    """Return the unseen kinds: the row's one, or, where nothing is known, all kinds, whose figures are
    averaged.
    """
    names = sorted(set(kinds.tolist()) - {GOOD})
    if row.unseen:
        return [row.unseen]
    return names if not row.known and len(names) > 1 else []


def _mean(values: list[float]) -> str:
    return f"{np.mean(values):.3f}" if values else "-"


if __name__ == "__main__":
    raise SystemExit(run_main(main))
