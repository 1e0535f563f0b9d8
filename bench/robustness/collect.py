"""Makes one table of the runs in several folders: ``python -m bench.robustness.collect OUT [OUT ...]``.

A bench command's own table has only the runs that its command line named. The figures of every run lie below
``OUT/cells``, and this command puts those of several detectors, environments and days together.
"""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from bench.robustness.matrix import FIGURES, RUNS, Row, broken
from bench.robustness.table import markdown
from steadyline.errors import InvalidConfiguration
from steadyline.service import EXIT_FAILED, run
from steadyline.terminal import PlainConsole, styled

app = typer.Typer(name="bench.robustness.collect", pretty_exceptions_enable=False, add_completion=False)


@app.command()
def collect(
    outs: Annotated[list[Path], typer.Argument(help="The folders that bench.robustness was given as --out.")],
) -> None:
    """Print the table in markdown; exit status 1 when a check of some figures fails."""
    rows = sorted((row for out in outs for row in figures_below(out)), key=_place)
    print(markdown(rows, "python -m bench.robustness.collect " + " ".join(map(str, outs))), end="")
    problems = broken(rows)
    for problem in problems:
        unbelieved = styled(("not to be believed", "bold red"), f": {problem}")
        PlainConsole(stderr=True, soft_wrap=True).print(unbelieved)
    if problems:
        raise typer.Exit(EXIT_FAILED)


def figures_below(out: Path) -> list[Row]:
    """Return the figures of every run below a folder; raises InvalidConfiguration when there are none."""
    files = sorted((out / RUNS).glob(f"*/*/{FIGURES}"))
    if not files:
        raise InvalidConfiguration(f"{out} has no figures below {RUNS}/: run bench.robustness --out {out}")
    return [json.loads(file.read_text(encoding="utf-8")) for file in files]


def _place(row: Row) -> tuple[str, str, int]:
    return row["data"], row["model"], row["seed"]


if __name__ == "__main__":
    sys.exit(run(app, None))
