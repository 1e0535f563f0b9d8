"""Trains on normals of which some are defective: ``python -m bench.contamination --data FOLDER``.

A person who collects normals has defects among them. Each row takes the place of some normals by real
defects of the test set, trains once with the guards and once without them (or, with ``--guarded-only``, as
the product does), and measures on the other test pictures. The guards are those of the product: pictures
far from all others are left out of the training, and held-out scores beyond the fence out of the calibration.
Unless ``--share`` names the rows, the last one has four defects among eight held out.
"""

from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer

from bench.contamination.frames import drawn_from, few_held_out, mixed
from bench.contamination.measure import ContaminationOrder, print_row
from steadyline.datasets.elpv import import_elpv
from steadyline.grid import grid_option
from steadyline.line import DEFAULT_DETECTOR
from trainer.data.mvtec import Preparation
from trainer.data.snapshot import LEAST_HELD_OUT
from trainer.fit import FitSettings

SHARES = (0.0, 0.05, 0.1, 0.2)

_COLUMNS = (
    "among the normals",
    "guards",
    "AUROC",
    "threshold",
    "detection",
    "false alarms",
    "left out of the training",
    "left out of the calibration",
    "CPU s",
)


def main(
    data: Annotated[
        Path | None,
        typer.Option(
            help="Folder of a set in MVTec layout; by default ELPV, not for commercial use, which is "
            "laid out in var/elpv."
        ),
    ] = None,
    count: Annotated[int, typer.Option(help="Training pictures of every row, by default 100.")] = 100,
    steps: Annotated[int, typer.Option(help="Training steps of every model, by default 60.")] = 60,
    rate: Annotated[float, typer.Option(help="False-alarm rate of the threshold, by default 0.05.")] = 0.05,
    seed: Annotated[int, typer.Option(help="Seed of draws, bank and training, by default 0.")] = 0,
    detector: Annotated[str, typer.Option(help="Detector to train, by default robust.")] = DEFAULT_DETECTOR,
    grid: Annotated[str, typer.Option(help="Height and width in pixels, by default 64x64.")] = "64x64",
    share: Annotated[
        list[float] | None,
        typer.Option(
            min=0, max=1, help="Share of defects among the normals; repeatable; by default five rows."
        ),
    ] = None,
    guarded_only: Annotated[
        bool, typer.Option("--guarded-only", help="Train with the guards only, by default also without.")
    ] = False,
) -> None:
    """Train and measure the models of each row; print a line of the table and a line of JSON for each."""
    torch.set_num_threads(1)
    folder = data if data is not None else import_elpv(Path("var/elpv")).folder
    drawn = drawn_from(folder, Preparation(grid_option("--grid", grid), "gray"), np.random.default_rng(seed))
    order = ContaminationOrder(
        FitSettings(detector, seed=seed, steps=steps), rate, (True,) if guarded_only else (False, True)
    )
    print(f"| {' | '.join(_COLUMNS)} |")
    print("|---|---|---|---|---|---|---|---|---|", flush=True)
    for one in share or SHARES:
        print_row(f"{one:.0%} defective", mixed(drawn, count, round(count * one)), drawn, order)
    if not share:
        print_row(f"4 of the {LEAST_HELD_OUT} held out defective", few_held_out(drawn), drawn, order)
