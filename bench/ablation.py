"""The loss of COBRA, switched: ``python -m bench.ablation --data FOLDER [--steps N] [--seed N]``.

Each row trains the same profile for the same number of steps, with the contrastive term at the weight that
the paper gives it, and differs in the loss alone. Attacked are the served score and the memory's part of it
alone, which is where a contrastive loss must show.
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
from torch import Tensor
from typing_extensions import override

from trainer.attack import Pgd
from trainer.dataset import Preparation, TestSet, read_normals, read_test
from trainer.detectors.cobra.profile import SWITCHES, Switch
from trainer.detectors.cobra.served import CobraServed
from trainer.detectors.protocol import Pictures, PseudoBank, Served
from trainer.fit import FitSettings, make_pseudo_anomalies, train
from trainer.pseudo.entry import in_memory
from trainer.sanity import chosen
from trainer.snapshot import split
from trainer.subject import Subject

SIZE = 64
PGD_STEPS = 20
EPSILONS = (2 / 255, 4 / 255)
PAPER_WEIGHT = 1.0
SHARPNESS = 5.0  # of the smooth maximum over cells, when the memory is judged alone


class MemoryAlone(Served):
    """The score without the head: how unlike the memory of normals the most unlike cells are."""

    def __init__(self, whole: CobraServed) -> None:
        super().__init__()
        self._whole = whole

    @override
    def score_float(self, x: Tensor) -> tuple[Tensor, Tensor]:
        network = self._whole.network
        unlike = 1 - self._whole.memory(network.embed(network.features(x)))
        return torch.logsumexp(SHARPNESS * unlike.flatten(1), 1) / SHARPNESS, unlike


@dataclass(frozen=True, slots=True)
class Data:
    """Normals that are trained on, their bank, and some test pictures of each kind."""

    normals: Pictures
    bank: PseudoBank
    test: TestSet
    index: np.ndarray[tuple[int], np.dtype[np.intp]]


def main(
    data: Annotated[Path, typer.Option(help="A folder in MVTec layout.")],
    steps: Annotated[int, typer.Option(help="Training steps of every row.")] = 300,
    seed: Annotated[int, typer.Option(help="Seed of bank and training.")] = 0,
    pictures: Annotated[int, typer.Option(help="Test pictures of each kind.")] = 110,
    switch: Annotated[list[str] | None, typer.Option(help="These losses only.")] = None,
) -> None:
    """Train and attack one model a loss; print a table row and a line of JSON for each."""
    torch.set_num_threads(1)
    held = _read(data, seed, pictures)
    print("| loss | clean | 2/255 | 4/255 | memory alone: clean | 2/255 | 4/255 | CPU s |", flush=True)
    print("|---|---|---|---|---|---|---|---|", flush=True)
    for name in SWITCHES:
        if switch is None or name in switch:
            row, seconds = _row(held, name, FitSettings(seed=seed, steps=steps))
            figures = [f"{value:.3f}" for part in row.values() for value in part.values()]
            print(f"| {name} | {' | '.join(figures)} | {seconds:.0f} |", flush=True)
            print(json.dumps({"switch": name, "steps": steps, "seed": seed, **row}), flush=True)


def _read(folder: Path, seed: int, pictures: int) -> Data:
    how = Preparation(SIZE, "gray")
    normals = read_normals(folder, how)[0]
    held_out = split(normals)
    made = make_pseudo_anomalies(normals, FitSettings(seed=seed), held_out)
    test = read_test(folder, how)
    return Data(normals[~held_out], in_memory(made, ~held_out), test, chosen(test.anomalous, pictures))


def _row(data: Data, switch: Switch, settings: FitSettings) -> tuple[dict[str, dict[str, float]], float]:
    began = time.process_time()
    overrides: Mapping[str, str | float] = {"switch": switch, "weights.contrast": PAPER_WEIGHT}
    chosen_settings = FitSettings(seed=settings.seed, steps=settings.steps, overrides=overrides)
    trained = train(data.normals, data.bank, chosen_settings, lambda step, total, message: None)
    seconds = time.process_time() - began
    module = trained.module
    assert isinstance(module, CobraServed)
    scores: dict[str, Served] = {"served": module, "memory": MemoryAlone(module)}
    return {name: _aurocs(score, data) for name, score in scores.items()}, seconds


def _aurocs(module: Served, data: Data) -> dict[str, float]:
    subject = Subject.of(module, data.test.pictures, data.test.anomalous).part(data.index)
    found = {"clean": subject.auroc(subject.scores(subject.x))}
    for epsilon in EPSILONS:
        hit = subject.attacked(Pgd(epsilon, PGD_STEPS))
        found[f"{epsilon * 255:g}/255"] = subject.auroc(subject.scores(hit))
    return {name: round(value, 4) for name, value in found.items()}


if __name__ == "__main__":
    typer.run(main)
