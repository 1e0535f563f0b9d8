"""The matrix of runs: it trains missing models, measures every run, and goes on after a run that fails."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.robustness.measure import measure
from bench.robustness.model import EvaluatedModel, from_package
from bench.robustness.model_store import ModelStore
from bench.robustness.plan import AttackSettings, Run
from bench.robustness.plots import draw
from bench.robustness.result_cache import ResultCache, key_of
from bench.robustness.splits import fixed_split
from steadyline.errors import SteadylineError
from steadyline.grid import Grid
from trainer.data.mvtec import Preparation, TestSet, read_test, with_native

FIGURES = "figures.json"  # holds the figures of one run
RUNS, RESULTS = "cells", "kept"  # the folders that earlier runs used, so that their results are still found
Say = Callable[[str], None]
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Matrix:
    """Data sets and existing packages by name; detectors and baselines to train, each for every seed."""

    data: Mapping[str, Path]
    models: tuple[str, ...]
    seeds: tuple[int, ...]
    packages: Mapping[str, Path]

    def runs(self) -> Iterator[Run]:
        """Yield every run; runs of one data set follow each other."""
        for data in self.data:
            yield from (Run(data, name, seed) for name in self.models for seed in self.seeds)
            yield from (Run(data, name, 0) for name in self.packages)


@dataclass(frozen=True, slots=True)
class BenchFolder:
    """Where results and splits lie, how models are made, and how they are attacked.

    ``say`` gets a line of text for a person about what is being made.
    """

    out: Path
    splits: Path
    models: ModelStore
    settings: AttackSettings
    say: Say


def measure_all(matrix: Matrix, bench: BenchFolder) -> list[Row]:
    """Return a row of figures for each run, and write each row; the row of a failed run has an ``error``.

    Raises InvalidConfiguration when a data set differs from its split.
    """
    digests = {
        name: fixed_split(name, folder, bench.splits / f"{name}.json") for name, folder in matrix.data.items()
    }
    runs, rows = list(matrix.runs()), []
    for data, folder in matrix.data.items():
        own = [run for run in runs if run.data == data]
        models = {run: _model(run, folder, (matrix, bench)) for run in own}
        tests: dict[tuple[Grid, str], TestSet] = {}
        for run in own:
            bench.say(f"run {runs.index(run) + 1}/{len(runs)}: {run.path.as_posix()}")
            model = models[run]
            if isinstance(model, str):
                rows.append({"data": data, "model": run.model, "seed": run.seed, "error": model})
                continue
            if (model.grid, model.channels) not in tests:
                tests = {(model.grid, model.channels): _test(folder, model)}
            test = tests[model.grid, model.channels]
            try:
                rows.append(_row((run, model), test, _other(run, models), (bench, digests[data])))
            except (SteadylineError, ValueError) as error:  # for example a score that is not finite
                bench.say(f"no figures of {run.path.as_posix()}: {error}")
                rows.append({"data": data, "model": run.model, "seed": run.seed, "error": str(error)})
    return rows


def _model(run: Run, folder: Path, about: tuple[Matrix, BenchFolder]) -> EvaluatedModel | str:
    """Return the model of a run, or a text that says why there is none."""
    matrix, bench = about
    try:
        if run.model in matrix.packages:
            return from_package(matrix.packages[run.model])
        bench.say(f"model {run.path.as_posix()}")
        return bench.models.model(run, folder)
    except SteadylineError as error:
        bench.say(f"no model {run.path.as_posix()}: {error}")
        return str(error)


def _other(run: Run, models: Mapping[Run, EvaluatedModel | str]) -> EvaluatedModel | None:
    """Return the same detector trained with the next seed; None when the matrix does not have it."""
    same = [
        other for other in models if other.model == run.model and isinstance(models[other], EvaluatedModel)
    ]
    after = same[(same.index(run) + 1) % len(same)]
    found = models[after]
    return found if after != run and isinstance(found, EvaluatedModel) else None


def _test(folder: Path, model: EvaluatedModel) -> TestSet:
    how = Preparation(model.grid, model.channels)
    return with_native(read_test(folder, how), folder, how)


def _row(
    which: tuple[Run, EvaluatedModel],
    test: TestSet,
    other: EvaluatedModel | None,
    about: tuple[BenchFolder, str],
) -> Row:
    (run, model), (bench, split) = which, about
    folder = bench.out / RUNS / run.path
    key = key_of(model.digest, model.threshold, split, bench.settings.as_json())

    def report(name: str, is_new: bool) -> None:
        if is_new:
            bench.say(f"  {name}")

    results = ResultCache(folder / RESULTS, key, report)
    measured = measure(model, test, bench.settings, results, other)
    figures = {"grid": str(model.grid), "attack_at": bench.settings.at, **measured.figures}
    row: Row = {"data": run.data, "model": run.model, "seed": run.seed, **figures}
    (folder / FIGURES).write_text(json.dumps(row, indent=1), encoding="utf-8")
    draw(folder, measured, model.module)
    return row


def broken(rows: list[Row]) -> list[str]:
    """Return a text for every check that fails and for every run without figures."""
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
