"""Compares DAF with and without its cue: ``python -m bench.ablations.daf --data FOLDER``.

The paper claims that a decoder that sees the discrepancy (the cue) depends less on what the synthetic defects
look like: the gap between the best and the worst synthesis strategy is smaller with the cue. Each row trains
the profile ``cpu`` for the same number of steps on the bank of one strategy. With the cue, discrepancy and
decoder are summed with the paper's weights. Without it the map is the decoder's alone, as in the detectors
that the paper compares with.
"""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer

from bench.command import run_main
from steadyline.grid import Grid
from trainer.arrays import Pictures, PseudoBank
from trainer.data.mvtec import Preparation, TestSet, read_normals, read_test
from trainer.data.snapshot import split
from trainer.detector_protocol import Served
from trainer.evaluation.auroc import auroc
from trainer.evaluation.localisation import localisation
from trainer.fit import FitSettings, make_pseudo_anomalies, train
from trainer.pseudo.entry import in_memory
from trainer.pseudo.synthetic import STRATEGIES

_BATCH = 32
_PAPER: Mapping[str, float | int | str | bool] = {"scoring.discrepancy": 1.0, "scoring.decoder": 3.0}
_WITHOUT: Mapping[str, float | int | str | bool] = {"shape.cue": False, "scoring.discrepancy": 0.0}
_ROWS: Mapping[str, Mapping[str, float | int | str | bool]] = {"with the cue": _PAPER, "without": _WITHOUT}

Figures = dict[str, float]


@dataclass(frozen=True, slots=True)
class DafData:
    """The normals to train on, their bank of one strategy, and all test pictures."""

    normals: Pictures
    bank: PseudoBank
    test: TestSet


def main(
    data: Annotated[Path, typer.Option(help="Folder of a set in MVTec layout, with masks.")],
    size: Annotated[int, typer.Option(help="Side of the model's input in pixels.")] = 64,
    steps: Annotated[int, typer.Option(help="Training steps of every row.")] = 400,
    seed: Annotated[int, typer.Option(help="Seed of bank and training.")] = 0,
    strategy: Annotated[
        list[str] | None,
        typer.Option(help="Strategy of making defects to measure; repeatable; by default all."),
    ] = None,
) -> None:
    """Train and measure two models a strategy; print a row and a line of JSON for each, then the gaps."""
    torch.set_num_threads(1)
    how = Preparation(Grid.square(size), "gray")
    normals, test = read_normals(data, how)[0], read_test(data, how)
    held_out = split(normals)
    found: dict[str, list[Figures]] = {row: [] for row in _ROWS}
    print("| strategy | decoder | image AUROC | pixel AUROC | AUPRO | pixel AP | CPU s |", flush=True)
    print("|---|---|---|---|---|---|---|", flush=True)
    for name in strategy or STRATEGIES:
        settings = FitSettings("daf", f"cpu-{name}", seed, steps)
        made = make_pseudo_anomalies(normals, settings, held_out)
        held = DafData(normals[~held_out], in_memory(made, ~held_out), test)
        for row, overrides in _ROWS.items():
            began = time.process_time()
            figures = _row(held, settings, overrides)
            found[row].append(figures)
            _say(name, row, figures, time.process_time() - began)
    for row, all_figures in found.items():
        gaps = {
            figure: round(float(np.ptp([figures[figure] for figures in all_figures])), 4)
            for figure in all_figures[0]
        }
        print(f"gap between the best and the worst, {row}: {json.dumps(gaps)}", flush=True)


def _row(data: DafData, settings: FitSettings, overrides: Mapping[str, float | int | str | bool]) -> Figures:
    chosen = FitSettings("daf", settings.profile, settings.seed, settings.steps, overrides)
    trained = train(data.normals, data.bank, chosen, lambda step, total, message: None)
    return measure(trained.module, data.test)


def measure(module: Served, test: TestSet) -> Figures:
    """Return image AUROC, and pixel AUROC, AUPRO and AP over the pictures whose mask is known."""
    if test.masks is None:
        raise typer.BadParameter("the folder has no ground_truth: there is nothing to locate")
    with torch.inference_mode():
        parts = [module(part) for part in torch.split(torch.from_numpy(test.pictures), _BATCH)]
    scores, maps = (torch.cat(rows).numpy() for rows in zip(*parts, strict=True))
    masks = test.masks[test.located]
    where = localisation(maps[test.located], masks)
    figures = {
        "image_auroc": auroc(scores, test.anomalous),
        "pixel_auroc": where.auroc,
        "aupro": where.aupro,
        "pixel_ap": where.ap,
    }
    return {name: round(value, 4) for name, value in figures.items()}


def _say(strategy: str, row: str, figures: Figures, seconds: float) -> None:
    cells = " | ".join(f"{value:.3f}" for value in figures.values())
    print(f"| {strategy} | {row} | {cells} | {seconds:.0f} |", flush=True)
    print(json.dumps({"strategy": strategy, "decoder": row, **figures}), flush=True)


if __name__ == "__main__":
    raise SystemExit(run_main(main))
