"""Measures what a certified companion costs: ``python -m bench.line.companion [--detector robust]``.

A detector is trained a few steps with a companion, and exported with it and without. Both graphs run through
onnxruntime on one core, in rounds taken in turn, by the CPU time of the thread that runs them: the machine
may be shared. The time of a graph does not depend on how well it was trained, that of the companion does on
how many patches it keeps: as many as in service.
"""

import json
import time
from statistics import median
from typing import Annotated

import torch
import typer

from bench.line.pictures import MODEL_SIDE, good_parts
from bench.line.report import Section, machine
from steadyline.inference import Pixels
from steadyline.service import run
from steadyline.terminal import PlainConsole
from trainer.detectors.companion.served import WithCompanion
from trainer.fit import FitSettings, make_pseudo_anomalies, train
from trainer.jobs.export import OnnxModel, export
from trainer.pseudo.entry import in_memory

NORMALS = 64  # 768 patches at a place, by gains and flips: more than a companion keeps
STEPS = 2
BATCHES = (1, 8)

app = typer.Typer(name="bench.line.companion", pretty_exceptions_enable=False, add_completion=False)


@app.command()
def companion(
    detector: Annotated[str, typer.Option(help="Detector, or pair, that has the companion.")] = "robust",
    rounds: Annotated[int, typer.Option(min=1, help="Rounds, of each graph and batch size.")] = 40,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Print CPU milliseconds a picture of a graph with and without its companion, and their ratio."""
    progress, console = PlainConsole(stderr=True), PlainConsole(stderr=as_json, soft_wrap=True)
    found = {"machine": machine(), "detector": detector, "side": MODEL_SIDE}
    progress.print(f"machine: {found['machine']}")
    progress.print(f"{detector} with a companion, trained {STEPS} steps and exported twice")
    parts = good_parts(NORMALS)
    alone, both = graphs(detector, parts)
    rows = []
    for batch in BATCHES:
        pictures = parts[:batch]
        pairs = [(cpu_ms(alone, pictures), cpu_ms(both, pictures)) for _ in range(rounds + 1)][1:]
        without, beside = (median(one) for one in zip(*pairs, strict=True))
        rows.append({"batch": batch, "without_ms": without, "with_ms": beside, "ratio": beside / without})
    Section(
        name="companion",
        title=f"{detector} at {MODEL_SIDE} pixels, onnxruntime on one core: CPU ms a picture",
        figures={"rows": rows},
        columns=("batch", "without", "with companion", "ratio"),
        rows=[[str(row["batch"]), *(f"{row[key]:.2f}" for key in list(row)[1:])] for row in rows],
    ).show(console)
    if as_json:
        print(json.dumps({**found, "rows": rows}, indent=1))


def graphs(detector: str, parts: Pixels) -> tuple[OnnxModel, OnnxModel]:
    """Return the graph of a detector without its companion, and with it; raises InvalidConfiguration."""
    torch.set_num_threads(1)
    settings = FitSettings(f"{detector}&certified", steps=STEPS)
    bank = in_memory(make_pseudo_anomalies(parts, settings))
    module = train(parts, bank, settings, lambda step, total, message: None).module
    assert isinstance(module, WithCompanion)
    return OnnxModel(export(module.main, parts[:4]).model), OnnxModel(export(module, parts[:4]).model)


def cpu_ms(graph: OnnxModel, pictures: Pixels) -> float:
    """Return the CPU milliseconds a picture that one request for all outputs takes on this thread."""
    began = time.thread_time()
    graph.outputs(pictures)
    return 1e3 * (time.thread_time() - began) / len(pictures)


if __name__ == "__main__":
    raise SystemExit(run(app, None))
