"""Trains on normals of which some are defective: ``python -m bench.ablations.contamination --data FOLDER``.

A person who collects normals has defects among them. Each row takes the place of some normals by real
defects of the test set, trains once with the guards and once without them, and measures on the other test
pictures. The guards are those of the product: pictures far from all others are left out of the training, and
held-out scores beyond the fence out of the calibration. The last row has four defects among eight held out.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from numpy.typing import NDArray

from steadyline.contracts.model_event import PRODUCT_WIDE
from steadyline.datasets.elpv import import_elpv
from steadyline.grid import Grid
from trainer.arrays import Pictures
from trainer.data.mvtec import Preparation, read_normals, read_test
from trainer.data.normals import believed
from trainer.data.snapshot import LEAST_HELD_OUT, NormalSource, Snapshot, make_snapshot, split
from trainer.evaluation.auroc import auroc
from trainer.fit import FitSettings, make_pseudo_anomalies, train
from trainer.jobs.calibrate import HeldOutScore, calibrate, calibration
from trainer.pseudo.entry import in_memory

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
_BATCH, _SIZE = 32, 64
_DEFECT = "defect"
_FEW = 32  # frames of the row with eight held out

Frames = list[tuple[NormalSource, Pictures]]


@dataclass(frozen=True, slots=True)
class ContaminationData:
    """Normals and defects to draw from, and the pictures that are measured on."""

    normals: Pictures
    defects: Pictures
    test: Pictures
    anomalous: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class ContaminationOrder:
    """What is trained, and at which rate the threshold is set."""

    fit: FitSettings
    rate: float
    is_guarded: bool


def main(
    data: Annotated[
        Path | None,
        typer.Option(help="Folder of a set in MVTec layout; by default ELPV, which is laid out in var/elpv."),
    ] = None,
    count: Annotated[int, typer.Option(help="Training pictures of every row, by default 100.")] = 100,
    steps: Annotated[int, typer.Option(help="Training steps of every model, by default 60.")] = 60,
    rate: Annotated[float, typer.Option(help="False-alarm rate of the threshold, by default 0.05.")] = 0.05,
    seed: Annotated[int, typer.Option(help="Seed of draws, bank and training, by default 0.")] = 0,
) -> None:
    """Train and measure two models a row; print a line of the table and a line of JSON for each."""
    torch.set_num_threads(1)
    folder = data if data is not None else import_elpv(Path("var/elpv")).folder
    drawn = _drawn(folder, Preparation(Grid.square(_SIZE), "gray"), np.random.default_rng(seed))
    fit = FitSettings(seed=seed, steps=steps)
    print(f"| {' | '.join(_COLUMNS)} |")
    print("|---|---|---|---|---|---|---|---|---|", flush=True)
    rows = [(f"{share:.0%} defective", _mixed(drawn, count, round(count * share))) for share in SHARES]
    rows.append((f"4 of the {LEAST_HELD_OUT} held out defective", _few(drawn)))
    for name, frames in rows:
        for is_guarded in (False, True):
            _row(name, frames, drawn, ContaminationOrder(fit, rate, is_guarded))


def _drawn(folder: Path, how: Preparation, chance: np.random.Generator) -> ContaminationData:
    """Half of the defects may be put among the normals; the other half is measured on."""
    normals, test = read_normals(folder, how)[0], read_test(folder, how)
    defects = chance.permutation(np.flatnonzero(test.anomalous))
    half = len(defects) // 2
    measured = np.concatenate([np.flatnonzero(~test.anomalous), defects[half:]])
    return ContaminationData(
        normals[chance.permutation(len(normals))],
        test.pictures[defects[:half]],
        test.pictures[measured],
        test.anomalous[measured],
    )


def _named(normals: Pictures, defects: Pictures) -> Frames:
    pictures = [(f"good{n:04}", picture) for n, picture in enumerate(normals)]
    pictures += [(f"{_DEFECT}{n:04}", picture) for n, picture in enumerate(defects)]
    return [(NormalSource(id=name, uri=""), picture) for name, picture in pictures]


def _mixed(drawn: ContaminationData, count: int, defective: int) -> Frames:
    return _named(drawn.normals[: count - defective], drawn.defects[:defective])


def _few(drawn: ContaminationData) -> Frames:
    """Return few frames with just four defects, and those among the eight that are held out."""
    for shift in range(len(drawn.defects) - 4):
        defects = drawn.defects[shift : shift + 4]
        for start in range(0, len(drawn.normals) - _FEW, 4):
            normals = drawn.normals[start : start + _FEW - 4]
            held_out = split(np.concatenate([normals, defects]))
            if held_out.sum() == LEAST_HELD_OUT and held_out[-4:].all():
                return _named(normals, defects)
    raise typer.BadParameter("no draw of the set has four defects among the eight held out")


def _row(name: str, frames: Frames, drawn: ContaminationData, order: ContaminationOrder) -> None:
    began = time.process_time()
    snapshot = believed(frames) if order.is_guarded else make_snapshot(frames)
    made = make_pseudo_anomalies(snapshot.pictures, order.fit, snapshot.held_out)
    trained = train(
        snapshot.pictures[~snapshot.held_out],
        in_memory(made, ~snapshot.held_out),
        order.fit,
        lambda step, total, message: None,
    )
    held_out = _scores(trained.module, snapshot.pictures[snapshot.held_out])
    threshold, left_out = _threshold(snapshot, held_out, order)
    scores = _scores(trained.module, drawn.test)
    figures = {
        "auroc": auroc(scores, drawn.anomalous),
        "threshold": threshold,
        "detection": float(np.mean(scores[drawn.anomalous] > threshold)),
        "false_alarms": float(np.mean(scores[~drawn.anomalous] > threshold)),
    }
    there = sum(source.id.startswith(_DEFECT) for source, _ in frames)
    cells = " | ".join(f"{value:.3f}" for value in figures.values())
    named = f"{_told(snapshot.left_out)} of {there} | {_told(left_out)}"
    guards, took = "with" if order.is_guarded else "without", time.process_time() - began
    print(f"| {name} | {guards} | {cells} | {named} | {took:.0f} |", flush=True)
    print(json.dumps({"row": name, "guards": guards, **figures, "named": [*snapshot.left_out, *left_out]}))


def _threshold(
    snapshot: Snapshot, scores: NDArray[np.float32], order: ContaminationOrder
) -> tuple[float, Sequence[str]]:
    if not order.is_guarded:
        return calibration(scores.tolist(), order.rate).threshold, ()
    rows = zip(snapshot.held_out_sources(), scores, strict=True)
    found = calibrate([HeldOutScore(source.id, "", float(score)) for source, score in rows], order.rate)
    return found.calibrations[PRODUCT_WIDE].threshold, [one.frame for one in found.left_out]


def _scores(module: torch.nn.Module, pictures: Pictures) -> NDArray[np.float32]:
    with torch.inference_mode():
        parts = [module(part)[0] for part in torch.split(torch.from_numpy(pictures), _BATCH)]
    scores: NDArray[np.float32] = torch.cat(parts).numpy()
    return scores


def _told(left_out: Sequence[str]) -> str:
    defects = sum(name.startswith(_DEFECT) for name in left_out)
    return f"{defects} defects and {len(left_out) - defects} good"


if __name__ == "__main__":
    typer.run(main)
