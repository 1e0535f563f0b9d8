"""Measures AUROC against the size of COBRA's memory.

Run it with ``python -m bench.ablations.cobra_memory --data FOLDER [--model PACKAGE]``.

The memory of one trained network is filled again with each number of embeddings of normals: the reviewers of
COBRA asked what a search of the whole training set buys. Attacks go against the served score, and against the
memory's part of it alone.
"""

import json
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer

from bench.ablations.cobra import MemoryAlone, aurocs, make_known_bank, read_data
from bench.command import run_main
from steadyline.errors import InvalidConfiguration
from trainer.detector_protocol import Served
from trainer.detectors.cobra.served import CobraServed
from trainer.evaluation.subject import floats
from trainer.fit import FitSettings, train
from trainer.folder import open_package

SIZES = (16, 32, 64, 128, 256, 512, 1024)


def main(
    data: Annotated[Path, typer.Option(help="Folder of a set in MVTec layout.")],
    model: Annotated[
        Path | None,
        typer.Option(help="Package that fit wrote for the same folder; by default one is trained."),
    ] = None,
    steps: Annotated[int, typer.Option(help="Training steps; used only without --model.")] = 300,
    seed: Annotated[int, typer.Option(help="Seed of bank, training and choice of normals.")] = 0,
    pictures: Annotated[int, typer.Option(help="Test pictures of each kind.")] = 110,
) -> None:
    """Print a table row and a line of JSON for each size."""
    torch.set_num_threads(1)
    held = read_data(data, pictures)
    module: Served
    if model is None:
        settings = FitSettings("cobra", seed=seed, steps=steps)
        bank = make_known_bank(held, seed)
        module = train(held.trained, bank, settings, lambda step, total, message: None).module
    else:
        module = open_package(model)[1]
    if not isinstance(module, CobraServed):
        raise InvalidConfiguration(f"--model {model} is not of cobra: no other detector has such a memory")
    print("| memory | clean | 2/255 | 4/255 | memory alone: clean | 2/255 | 4/255 |", flush=True)
    print("|---|---|---|---|---|---|---|", flush=True)
    normals = floats(np.ascontiguousarray(held.trained))
    for size in SIZES:
        sized = module.resized(size)
        sized.remember(normals, seed)
        row = {name: aurocs(score, held) for name, score in _scores(sized).items()}
        figures = [f"{value:.3f}" for part in row.values() for value in part.values()]
        print(f"| {size} | {' | '.join(figures)} |", flush=True)
        print(json.dumps({"memory": size, "seed": seed, **row}), flush=True)


def _scores(module: CobraServed) -> dict[str, Served]:
    return {"served": module, "memory": MemoryAlone(module)}


if __name__ == "__main__":
    raise SystemExit(run_main(main))
