"""Trains COBRA with parts switched on and off.

Run it with ``python -m bench.ablations.cobra --data FOLDER [--steps N] [--seed N] [--only NAME]``.

Each row trains the same profile for the same number of steps, with the contrastive term at the weight that
the paper gives it. Rows differ only in what their names say: the loss, K, the adversaries or the bank.
Attacks go against the served score, and against the memory's part of it alone, where a contrastive loss must
show.
"""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from torch import Tensor
from typing_extensions import override

from bench.command import run_main
from steadyline.grid import Grid
from trainer.arrays import Masks, Pictures, PseudoBank
from trainer.data.mvtec import Preparation, TestSet, read_normals, read_test
from trainer.data.snapshot import split
from trainer.detector_protocol import Served
from trainer.detectors.cobra.profile import SWITCHES
from trainer.detectors.cobra.served import CobraServed
from trainer.detectors.registry import detector_named
from trainer.evaluation.attacks import Pgd
from trainer.evaluation.sanity import chosen
from trainer.evaluation.subject import AttackTarget
from trainer.fit import FitSettings, train
from trainer.pseudo.bank import make_bank
from trainer.pseudo.entry import in_memory
from trainer.pseudo.recipe import Adapt

SIZE = 64
PGD_STEPS = 20
EPSILONS = (2 / 255, 4 / 255)
SHARPNESS = 5.0  # the sharpness of the smooth maximum over cells, when the memory is judged alone

Overrides = Mapping[str, str | float | bool]
PAPER: Overrides = {"weights.contrast": 1.0}

# What each row changes. ``mean`` is K = 2 with the one cheap adversary; the other rows are compared with it.
ROWS: Mapping[str, Overrides] = {
    **{switch: {"switch": switch} for switch in SWITCHES},
    "K = 2, with copies": {"score.shifted": True, "score.scaled": True},
    "K = 4": {"classes": 4},
    "K = 4, with copies": {"classes": 4, "score.shifted": True, "score.scaled": True},
    "contrast adversary": {"adversaries": "contrast"},
    "opposite adversary": {"adversaries": "opposite"},
    "classes adversary": {"adversaries": "classes"},
    "all three adversaries": {"adversaries": "contrast+opposite+classes"},
    "fitted bank": {},
}
FITTED = Adapt(draws=32, least=0.05)


class MemoryAlone(Served):
    """Scores without the head: by how unlike the memory of normals the most unlike cells are."""

    def __init__(self, whole: CobraServed) -> None:
        super().__init__()
        self._whole = whole

    @override
    def score_float(self, x: Tensor) -> tuple[Tensor, Tensor]:
        network = self._whole.network
        unlike = 1 - self._whole.memory(network.embed(network.features(x)))
        return torch.logsumexp(SHARPNESS * unlike.flatten(1), 1) / SHARPNESS, unlike


@dataclass(frozen=True, slots=True)
class CobraData:
    """All normals, which of them no training sees, and some good and some defective test pictures."""

    normals: Pictures
    held_out: Masks
    test: TestSet
    index: np.ndarray[tuple[int], np.dtype[np.intp]]

    @property
    def trained(self) -> Pictures:
        """Return the normals that are trained on."""
        return self.normals[~self.held_out]


def main(
    data: Annotated[Path, typer.Option(help="Folder of a set in MVTec layout.")],
    steps: Annotated[int, typer.Option(help="Training steps of every row.")] = 300,
    seed: Annotated[int, typer.Option(help="Seed of bank and training.")] = 0,
    pictures: Annotated[int, typer.Option(help="Test pictures of each kind.")] = 110,
    only: Annotated[
        list[str] | None, typer.Option(help="Row of the table to measure; repeatable; by default all rows.")
    ] = None,
) -> None:
    """Train and attack one model a row; print a table row and a line of JSON for each."""
    torch.set_num_threads(1)
    unknown = sorted(set(only or ()) - set(ROWS))
    if unknown:
        raise typer.BadParameter(f"no row {', '.join(unknown)}; there are {', '.join(ROWS)}")
    held = read_data(data, pictures)
    plain = make_known_bank(held, seed)
    print("| row | clean | 2/255 | 4/255 | memory alone: clean | 2/255 | 4/255 | CPU s |", flush=True)
    print("|---|---|---|---|---|---|---|---|", flush=True)
    for name, changes in ROWS.items():
        if only is None or name in only:
            bank = plain if name != "fitted bank" else make_known_bank(held, seed, FITTED)
            settings = FitSettings("cobra", seed=seed, steps=steps, overrides={**PAPER, **changes})
            row, seconds = _row(held, bank, settings)
            figures = [f"{value:.3f}" for part in row.values() for value in part.values()]
            print(f"| {name} | {' | '.join(figures)} | {seconds:.0f} |", flush=True)
            print(json.dumps({"row": name, "steps": steps, "seed": seed, **row}), flush=True)


def read_data(folder: Path, pictures: int) -> CobraData:
    """Return the folder's pictures, split as ``trainer fit`` splits them.

    ``pictures`` is how many test pictures of each kind are taken. Raises InvalidConfiguration when the folder
    is wrong.
    """
    how = Preparation(Grid.square(SIZE), "gray")
    normals = read_normals(folder, how)[0]
    test = read_test(folder, how)
    return CobraData(normals, split(normals), test, chosen(test.anomalous, pictures))


def make_known_bank(data: CobraData, seed: int, adapt: Adapt | None = None) -> PseudoBank:
    """Return the profile's bank of the training normals; print the shares that ``adapt`` finds."""
    recipe = replace(detector_named("cobra").bank_recipe("cpu"), adapt=adapt)
    made = make_bank(data.normals, recipe, seed, data.held_out)
    if adapt is not None:
        print(json.dumps({"rates": made.rates, "shares": made.shares}), flush=True)
    return in_memory(made, ~data.held_out)


def _row(
    data: CobraData, bank: PseudoBank, settings: FitSettings
) -> tuple[dict[str, dict[str, float]], float]:
    began = time.process_time()
    trained = train(data.trained, bank, settings, lambda step, total, message: None)
    seconds = time.process_time() - began
    module = trained.module
    assert isinstance(module, CobraServed)
    scores: dict[str, Served] = {"served": module, "memory": MemoryAlone(module)}
    return {name: aurocs(score, data) for name, score in scores.items()}, seconds


def aurocs(module: Served, data: CobraData) -> dict[str, float]:
    """Return the image AUROC of a score on the chosen test pictures, clean and attacked."""
    subject = AttackTarget.of(module, data.test.pictures, data.test.anomalous).part(data.index)
    found = {"clean": subject.auroc(subject.scores(subject.x))}
    for epsilon in EPSILONS:
        hit = subject.attacked(Pgd(epsilon, PGD_STEPS))
        found[f"{epsilon * 255:g}/255"] = subject.auroc(subject.scores(hit))
    return {name: round(value, 4) for name, value in found.items()}


if __name__ == "__main__":
    raise SystemExit(run_main(main))
