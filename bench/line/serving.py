"""Measures what models cost in Triton: ``python -m bench.line.serving --models OUT/models``.

Each model is loaded by a Triton of its own and asked in batches of eight with two under way, as by a scorer,
and then with one picture at a time. The pictures are random, because a graph takes the same time for any. The
machine may be shared: trust CPU milliseconds more than those by the clock.
"""

import json
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import numpy as np
import typer

from bench.line.cpu import cpu_seconds, memory_bytes
from bench.line.direct import BATCH, drive, triton_client
from bench.line.environment import ROOT
from bench.line.report import Section, machine
from steadyline.errors import InvalidConfiguration
from steadyline.grid import Grid
from steadyline.inference import ModelRef, Pixels
from steadyline.package import MODEL
from steadyline.servers import LocalStack, StackPaths
from steadyline.service import run
from steadyline.terminal import PlainConsole
from steadyline.triton import TritonClient
from steadyline.triton_config import ServedShape, Serving, config_pbtxt
from trainer.jobs.export import OnnxModel
from trainer.lifecycle.repository import ModelRepository

NAME = "model"
SECONDS = 4.0
WARM_SECONDS = 1.0
ALONE = 50  # the number of requests with one picture
LOAD_WITHIN = timedelta(seconds=120)
_MEGA = 1e6


@dataclass(frozen=True, slots=True)
class Graph:
    """An exported model: its name in the table, its file's bytes, its input (H = W, C)."""

    name: str
    data: bytes
    grid: Grid
    channels: int

    def pictures(self, count: int) -> Pixels:
        """Return (count, H, W, C) uint8."""
        shape = (count, *self.grid, self.channels)
        return np.random.default_rng(0).integers(0, 256, shape, np.uint8)

    def config(self, serving: Serving) -> str:
        """Return its ``config.pbtxt``."""
        _scores, maps = OnnxModel(self.data)(self.pictures(1))
        return config_pbtxt(ServedShape(NAME, self.grid, self.channels, *maps.shape[1:]), serving)


app = typer.Typer(name="bench.line.serving", pretty_exceptions_enable=False, add_completion=False)


@app.command()
def serving(
    models: Annotated[list[Path], typer.Option(help="Folder that is searched for model.onnx; repeatable.")],
    seconds: Annotated[float, typer.Option(min=0.1, help="Seconds that each model is measured.")] = SECONDS,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads of one model in Triton.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Print milliseconds a picture through Triton, and memory, of every model found."""
    progress, console = PlainConsole(stderr=True), PlainConsole(stderr=as_json, soft_wrap=True)
    found = {"machine": machine(), "threads": threads}
    progress.print(f"machine: {found['machine']}")
    rows = [measured(graph, Serving(threads=threads), seconds) for graph in graphs(models, progress.print)]
    _section(rows).show(console)
    if as_json:
        print(json.dumps({**found, "models": rows}, indent=1))


def graphs(folders: list[Path], say: Callable[[str], None]) -> Iterator[Graph]:
    """Yield the models below the folders; raises InvalidConfiguration when there is none."""
    files = sorted(file for folder in folders for file in folder.rglob(MODEL))
    if not files:
        named = ", ".join(map(str, folders))
        raise InvalidConfiguration(f"no {MODEL} below {named}; fit or bench.robustness write some")
    for number, file in enumerate(files, 1):
        name = "/".join(file.parent.parts[-2:])
        say(f"{number}/{len(files)}: {name}")
        grid, channels = OnnxModel(file.read_bytes()).input_shape
        yield Graph(name, file.read_bytes(), grid, channels)


def measured(graph: Graph, serving: Serving, seconds: float) -> dict[str, Any]:
    """Return one model's figures, measured on a Triton that has never served another model."""
    home = ROOT / "var" / "bench" / "serving"
    with LocalStack(StackPaths.of_checkout(home, ROOT), ("triton",), fresh=True) as stack:
        triton, server = triton_client(stack.addresses), stack.triton.pid
        before = memory_bytes(server)
        repository, config = ModelRepository(Path(stack.addresses.triton_repository)), graph.config(serving)
        repository.publish(NAME, 1, graph.data, config.encode(), keep=None)
        triton.load(NAME, LOAD_WITHIN)
        figures = _asked(triton, server, graph, seconds)
        memory = memory_bytes(server) - before
        triton.close()
    shutil.rmtree(home, ignore_errors=True)
    return {
        "model": graph.name,
        "grid": str(graph.grid),
        **{name: round(value, 3) for name, value in figures.items()},
        "memory_mb": round(memory / _MEGA, 1),
        "file_mb": round(len(graph.data) / _MEGA, 1),
    }


def _asked(triton: TritonClient, server: int, graph: Graph, seconds: float) -> dict[str, float]:
    ref, pictures = ModelRef(NAME, 1), graph.pictures(4 * BATCH)
    drive(triton, ref, pictures, WARM_SECONDS)
    before = cpu_seconds(server)
    answered, took = drive(triton, ref, pictures, seconds)
    cpu = cpu_seconds(server) - before
    alone = []
    for number in range(ALONE):
        began = time.perf_counter()
        triton.infer(ref, pictures[number % len(pictures)][None]).result()
        alone.append(time.perf_counter() - began)
    return {
        "ms": 1e3 * took / answered,
        "cpu_ms": 1e3 * cpu / answered,
        "alone_ms": 1e3 * median(alone),
    }


def _section(rows: list[dict[str, Any]]) -> Section:
    columns = ("model", "grid", "ms", "CPU ms", "alone, ms", "memory, MB", "file, MB")
    names = ("model", "grid", "ms", "cpu_ms", "alone_ms", "memory_mb", "file_mb")
    return Section(
        name="serving",
        title=f"A picture through Triton: in batches of {BATCH}, and alone",
        figures={"models": rows},
        columns=columns,
        rows=[[str(row[name]) for name in names] for row in rows],
    )


if __name__ == "__main__":
    raise SystemExit(run(app, None))
