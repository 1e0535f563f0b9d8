"""The command line of the bench of shift: what is run, where results lie, what is printed."""

import json
import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from bench.robustness.result_cache import ResultCache, key_of
from bench.robustness.splits import fixed_split
from bench.shift.cells import cells_of
from bench.shift.measure import StationPlan, measure_cells
from bench.shift.report import Row, draw, headline, markdown
from bench.shift.subject import ShiftedModel, ThresholdFrom, open_model
from steadyline.errors import InvalidConfiguration
from steadyline.service import run as run_application
from steadyline.settings import TelemetrySettings, read_settings
from steadyline.telemetry.logs import configure_logs
from steadyline.terminal import PlainConsole
from trainer.evaluation.light import SHIFTS

app = typer.Typer(name="bench.shift", pretty_exceptions_enable=False, add_completion=False)
_DATA = "A data set in MVTec layout, as NAME=FOLDER."
_MODEL = "A package that fit wrote, as NAME=FOLDER; again for another one on the same data."
_OUT = "The folder of results; a command that was killed goes on from what lies there."
_KIND = "A shift to measure; again for another one. The default is all of them."
_SOURCE = (
    "Where the threshold comes from: the normals that the training held out, or every other good test "
    "picture."
)
_SAMPLED = "One in so many defective test pictures is judged; a larger number is faster."
_DEFECTIVE = (
    "Of the pictures of a station so many are defective; again for another number. The default is none and "
    "half of them."
)
_PICTURES = "The pictures of a station, 8 to 64, by default 8."
_DRAWS = "The stations drawn for each cell and number of defective pictures; 0 measures without stations."


@app.command()
def bench(
    data: Annotated[str, typer.Option("--data", help=_DATA)],
    model: Annotated[list[str], typer.Option("--model", help=_MODEL)],
    out: Annotated[Path, typer.Option("--out", help=_OUT)],
    kind: Annotated[list[str] | None, typer.Option("--shift", help=_KIND)] = None,
    source: Annotated[ThresholdFrom, typer.Option("--threshold-from", help=_SOURCE)] = "held-out",
    sampled: Annotated[int, typer.Option("--defective-sample", min=1, help=_SAMPLED)] = 1,
    defective: Annotated[list[int] | None, typer.Option("--station-defective", help=_DEFECTIVE)] = None,
    pictures: Annotated[int, typer.Option("--station-pictures", min=8, max=64, help=_PICTURES)] = 8,
    draws: Annotated[int, typer.Option("--station-draws", min=0, help=_DRAWS)] = 1,
) -> None:
    """Measure packages under shifts at one frozen threshold, and print the share of cells that are held."""
    if max(defective or (0,)) > pictures:
        raise InvalidConfiguration(
            f"--station-defective {max(defective or ())}: a station has {pictures} pictures"
        )
    configure_logs("bench", read_settings(TelemetrySettings))
    unknown = sorted(set(kind or ()) - SHIFTS.keys())
    if unknown:
        raise InvalidConfiguration(f"--shift {unknown[0]}: there are {', '.join(SHIFTS)}")
    name, folder = _named(data, "--data")
    split = fixed_split(name, folder, out / "splits" / f"{name}.json")
    plan = StationPlan(tuple(defective or (0, pictures // 2)), draws, pictures)
    for one in model:
        label, package = _named(one, "--model")
        subject = open_model(label, package, folder, source, sampled)
        key = key_of(split, subject.digest, subject.threshold, source, sampled, asdict(plan))
        kept = ResultCache(out / "cells" / f"{name}-{label}", key, _say)
        found = measure_cells(subject, cells_of(subject.test.pictures.shape[3], kind or ()), plan, kept)
        _write(out, _row(name, subject, source, found))
    _show(out)


def _row(data: str, subject: ShiftedModel, source: str, found: dict[str, dict[str, object]]) -> Row:
    return {
        "data": data,
        "model": subject.name,
        "rate": subject.rate,
        "threshold": subject.threshold,
        "normals": len(subject.normals),
        "source": source,
        "cells": found,
    }


def _write(out: Path, row: Row) -> None:
    folder = out / "rows"
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{row['data']}-{row['model']}"
    (folder / f"{name}.json").write_text(json.dumps(row, indent=1), encoding="utf-8")
    draw(out / f"{name}.png", row)


def _show(out: Path) -> None:
    """Print the one number of every model that lies in the folder, and write the page beside it."""
    rows = [json.loads(path.read_bytes()) for path in sorted((out / "rows").glob("*.json"))]
    command = f"python -m bench.shift {shlex.join(sys.argv[1:])}"
    (out / "table.md").write_text(markdown(rows, command), encoding="utf-8")
    head, *lines = headline(rows)
    table = Table(*head)
    for line in lines:
        table.add_row(*line)
    PlainConsole(soft_wrap=True).print(table)


def _named(option: str, name: str) -> tuple[str, Path]:
    label, is_there, folder = option.partition("=")
    if not (label and is_there and folder) or "/" in label:
        raise InvalidConfiguration(f"{name} {option!r}: write NAME=FOLDER")
    return label, Path(folder)


def _say(name: str, is_made: bool) -> None:
    if is_made:
        PlainConsole(soft_wrap=True).print(name)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    return run_application(app, argv)
