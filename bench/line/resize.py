"""Measures the resize to the model's grid: ``python -m bench.line.resize``, CPU milliseconds a picture."""

import json
import time
from typing import Annotated

import numpy as np
import typer

from bench.line.report import Section, machine
from steadyline.grid import Grid
from steadyline.inference import Pixels
from steadyline.prepare import resize
from steadyline.service import run
from steadyline.terminal import PlainConsole

FRAMES = ((300, 300, 1), (500, 1250, 1), (1024, 1024, 3), (2048, 2448, 1), (2048, 2448, 3))
GRIDS = (Grid(64, 64), Grid(208, 512), Grid(1024, 1024))
AT_LEAST_SECONDS = 0.2  # of CPU for each figure, which is the best of its runs: the machine may be shared

app = typer.Typer(name="bench.line.resize", pretty_exceptions_enable=False, add_completion=False)


@app.command()
def measure(
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON too.")] = False,
) -> None:
    """Print CPU milliseconds a picture for each size of a camera's frames and each grid, on one thread."""
    console, rng = PlainConsole(stderr=as_json, soft_wrap=True), np.random.default_rng(0)
    rows = []
    for shape in FRAMES:
        picture = rng.integers(0, 256, shape, np.uint8)
        row = {"frame": "x".join(map(str, shape))}
        rows.append({**row, **{str(grid): f"{best_ms(picture, grid):.2f}" for grid in GRIDS}})
    Section(
        name="resize",
        title="Resize of a picture (height x width x channels) to a grid: CPU ms, one thread",
        figures={"rows": rows},
        columns=("frame", *map(str, GRIDS)),
        rows=[list(row.values()) for row in rows],
    ).show(console)
    if as_json:
        print(json.dumps({"machine": machine(), "rows": rows}, indent=1))


def best_ms(picture: Pixels, grid: Grid) -> float:
    """Return the CPU milliseconds of the fastest of several runs."""
    resize(picture, grid)  # works the weights out, which are kept
    best, until = float("inf"), time.process_time() + AT_LEAST_SECONDS
    while time.process_time() < until:
        began = time.process_time()
        resize(picture, grid)
        best = min(best, time.process_time() - began)
    return best * 1000


if __name__ == "__main__":
    raise SystemExit(run(app, None))
