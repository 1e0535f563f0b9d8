"""The matrix: trains what is missing, measures every cell, goes on after a cell that cannot be measured."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.robustness.measure import RunResult, measure
from bench.robustness.model import EvaluatedModel, from_package
from bench.robustness.model_store import ModelStore
from bench.robustness.plan import AttackSettings, Run
from bench.robustness.plots import draw
from bench.robustness.result_cache import ResultCache, key_of
from bench.robustness.splits import fixed_split
from steadyline.errors import SteadylineError
from trainer.data.mvtec import Preparation, TestSet, read_test, with_native

FIGURES = "figures.json"  # of one cell
Say = Callable[[str], None]
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Matrix:
    """Data sets and existing packages by name; detectors and baselines to train, each for every seed."""

    data: Mapping[str, Path]
    models: tuple[str, ...]
    seeds: tuple[int, ...]
    packages: Mapping[str, Path]

    def cells(self) -> Iterator[Run]:
        """Yield every cell, those of one data set together."""
        for data in self.data:
            yield from (Run(data, name, seed) for name in self.models for seed in self.seeds)
            yield from (Run(data, name, 0) for name in self.packages)


@dataclass(frozen=True, slots=True)
class BenchFolder:
    """Where results lie, where the splits are, how models come to be, how they are attacked."""

    out: Path
    splits: Path
    shop: ModelStore
    settings: AttackSettings
    say: Say


def run(matrix: Matrix, bench: BenchFolder) -> list[Row]:
    """Return a row of figures for each cell, and write it; a cell without figures has an ``error``.

    Raises InvalidConfiguration when a data set is not the one of its split.
    """
    digests = {
        name: fixed_split(name, folder, bench.splits / f"{name}.json") for name, folder in matrix.data.items()
    }
    cells, rows = list(matrix.cells()), []
    for data, folder in matrix.data.items():
        own = [cell for cell in cells if cell.data == data]
        models = {cell: _model(cell, folder, (matrix, bench)) for cell in own}
        tests: dict[tuple[int, str], TestSet] = {}
        for cell in own:
            bench.say(f"cell {cells.index(cell) + 1}/{len(cells)}: {cell.path.as_posix()}")
            model = models[cell]
            if isinstance(model, str):
                rows.append({"data": data, "model": cell.model, "seed": cell.seed, "error": model})
                continue
            if (model.size, model.channels) not in tests:
                tests = {(model.size, model.channels): _test(folder, model)}
            test = tests[model.size, model.channels]
            try:
                rows.append(_row((cell, model), test, _other(cell, models), (bench, digests[data])))
            except (SteadylineError, ValueError) as error:  # a score that is not finite, say
                bench.say(f"no figures of {cell.path.as_posix()}: {error}")
                rows.append({"data": data, "model": cell.model, "seed": cell.seed, "error": str(error)})
    return rows


def _model(cell: Run, folder: Path, about: tuple[Matrix, BenchFolder]) -> EvaluatedModel | str:
    """Return the model, or in words why there is none."""
    matrix, bench = about
    try:
        if cell.model in matrix.packages:
            return from_package(matrix.packages[cell.model])
        bench.say(f"model {cell.path.as_posix()}")
        return bench.shop.model(cell, folder)
    except SteadylineError as error:
        bench.say(f"no model {cell.path.as_posix()}: {error}")
        return str(error)


def _other(cell: Run, models: Mapping[Run, EvaluatedModel | str]) -> EvaluatedModel | None:
    """Return the same detector trained with the next seed, if it is in the run."""
    same = [
        other for other in models if other.model == cell.model and isinstance(models[other], EvaluatedModel)
    ]
    after = same[(same.index(cell) + 1) % len(same)]
    found = models[after]
    return found if after != cell and isinstance(found, EvaluatedModel) else None


def _test(folder: Path, model: EvaluatedModel) -> TestSet:
    how = Preparation(model.size, model.channels)
    return with_native(read_test(folder, how), folder, how)


def _row(
    which: tuple[Run, EvaluatedModel],
    test: TestSet,
    other: EvaluatedModel | None,
    about: tuple[BenchFolder, str],
) -> Row:
    (cell, model), (bench, split) = which, about
    folder = bench.out / "cells" / cell.path
    key = key_of(model.digest, model.threshold, split, bench.settings.as_json())

    def report(name: str, is_new: bool) -> None:
        if is_new:
            bench.say(f"  {name}")

    measured: RunResult = measure(
        model, test, bench.settings, ResultCache(folder / "kept", key, report), other
    )
    figures = {"size": model.size, "attack_at": bench.settings.at, **measured.figures}
    row: Row = {"data": cell.data, "model": cell.model, "seed": cell.seed, **figures}
    (folder / FIGURES).write_text(json.dumps(row, indent=1), encoding="utf-8")
    draw(folder, measured, model.module)
    return row


def broken(rows: list[Row]) -> list[str]:
    """Return, in words, every check that fails and every cell without figures."""
    found = []
    for row in rows:
        name = f"{row['data']} {row['model']}-{row['seed']}"
        if "error" in row:
            found.append(f"{name}: {row['error']}")
            continue
        for check in row["sanity"]:
            if not check["holds"]:
                numbers = ", ".join(f"{key} {value:g}" for key, value in check["figure"].items())
                found.append(f"{name}: {check['check']}: {numbers}")
    return found
