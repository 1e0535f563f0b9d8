"""Trains on normals with defects among them, and measures what that costs."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from bench.contamination.frames import DEFECT, ContaminationData, Frames
from steadyline.contracts.model_event import PRODUCT_WIDE
from trainer.arrays import Pictures
from trainer.data.normals import believed
from trainer.data.snapshot import Snapshot, make_snapshot
from trainer.evaluation.auroc import auroc
from trainer.fit import FitSettings, make_pseudo_anomalies, train
from trainer.jobs.calibrate import HeldOutScore, calibrate, calibration
from trainer.pseudo.entry import in_memory

_BATCH = 32


@dataclass(frozen=True, slots=True)
class ContaminationOrder:
    """What is trained, at which rate the threshold is set, and whether with the guards, without, or both."""

    fit: FitSettings
    rate: float
    guards: tuple[bool, ...] = (False, True)


def print_row(name: str, frames: Frames, drawn: ContaminationData, order: ContaminationOrder) -> None:
    """Train and measure the models of one row; print a line of the table and a line of JSON for each."""
    for is_guarded in order.guards:
        began = time.process_time()
        snapshot = believed(frames) if is_guarded else make_snapshot(frames)
        made = make_pseudo_anomalies(snapshot.pictures, order.fit, snapshot.held_out)
        trained = train(
            snapshot.pictures[~snapshot.held_out],
            in_memory(made, ~snapshot.held_out),
            order.fit,
            lambda step, total, message: None,
        )
        held_out = _scores(trained.module, snapshot.pictures[snapshot.held_out])
        threshold, left_out = _threshold(snapshot, held_out, order.rate, is_guarded)
        figures = _figures(_scores(trained.module, drawn.test), drawn.anomalous, threshold)
        there = sum(source.id.startswith(DEFECT) for source, _ in frames)
        cells = " | ".join(f"{value:.3f}" for value in figures.values())
        named = f"{_told(snapshot.left_out)} of {there} | {_told(left_out)}"
        guards, took = "with" if is_guarded else "without", time.process_time() - began
        print(f"| {name} | {guards} | {cells} | {named} | {took:.0f} |", flush=True)
        told = {"row": name, "guards": guards, **figures, "named": [*snapshot.left_out, *left_out]}
        print(json.dumps(told))


def _figures(scores: NDArray[np.float32], anomalous: NDArray[np.bool_], threshold: float) -> dict[str, float]:
    return {
        "auroc": auroc(scores, anomalous),
        "threshold": threshold,
        "detection": float(np.mean(scores[anomalous] > threshold)),
        "false_alarms": float(np.mean(scores[~anomalous] > threshold)),
    }


def _threshold(
    snapshot: Snapshot, scores: NDArray[np.float32], rate: float, is_guarded: bool
) -> tuple[float, Sequence[str]]:
    if not is_guarded:
        return calibration(scores.tolist(), rate).threshold, ()
    rows = zip(snapshot.held_out_sources(), scores, strict=True)
    found = calibrate([HeldOutScore(source.id, "", float(score)) for source, score in rows], rate)
    return found.calibrations[PRODUCT_WIDE].threshold, [one.frame for one in found.left_out]


def _scores(module: torch.nn.Module, pictures: Pictures) -> NDArray[np.float32]:
    with torch.inference_mode():
        parts = [module(part)[0] for part in torch.split(torch.from_numpy(pictures), _BATCH)]
    scores: NDArray[np.float32] = torch.cat(parts).numpy()
    return scores


def _told(left_out: Sequence[str]) -> str:
    defects = sum(name.startswith(DEFECT) for name in left_out)
    return f"{defects} defects and {len(left_out) - defects} good"
