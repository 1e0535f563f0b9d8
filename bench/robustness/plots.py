"""Draws a run's scores (clean and attacked), ROC and maps, and the robustness curves of a data set."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from trainer.detector_protocol import Served
from trainer.evaluation.evaluate import Evaluation
from trainer.evaluation.subject import Scores, rounded

_NORMAL, _DEFECTIVE = "#4477aa", "#cc6677"  # Tol's palette: every eye tells them apart, also in print
_BINS = 40
_SHOWN = 4  # of so many defective pictures maps are drawn


def draw(folder: Path, measured: Evaluation, module: Served) -> None:
    """Write scores.png, roc.png and maps.png into ``folder``."""
    kinds = measured.anomalous[measured.chosen]
    series = {"clean": (measured.clean, measured.anomalous)}
    series |= {name: (found.scores, kinds) for name, found in measured.attacked.items()}
    _scores(series).savefig(folder / "scores.png", dpi=120)
    _roc(series).savefig(folder / "roc.png", dpi=120)
    _maps(measured, module).savefig(folder / "maps.png", dpi=120)


def draw_curves(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write the robustness curves of one data set, the mean over seeds for each model."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axis = figure.subplots()
    for name in dict.fromkeys(row["model"] for row in rows):
        curves = [row["curve"] for row in rows if row["model"] == name]
        sizes = [float(size.split("/")[0]) for size in curves[0]]
        means = np.mean([list(curve.values()) for curve in curves], axis=0)
        axis.plot(sizes, means, marker="o", markersize=3, label=f"{name} ({len(curves)})")
    axis.axhline(0.5, color="#bbbbbb", linewidth=0.8)
    axis.set_xscale("symlog", base=2, linthresh=1)
    axis.set_xticks([0, 1, 2, 4, 8, 16, 32, 64], ["0", "1", "2", "4", "8", "16", "32", "64"])
    axis.set(xlabel="largest change of a pixel, of 255", ylabel="AUROC, PGD-20", ylim=(0, 1))
    axis.legend(frameon=False, fontsize=8)
    figure.savefig(path, dpi=120)


def _scores(series: Mapping[str, tuple[Scores, NDArray[np.bool_]]]) -> Figure:
    figure = Figure(figsize=(7, 1.7 * len(series)), layout="constrained")
    low, high = np.quantile(np.concatenate([scores for scores, _ in series.values()]), [0.002, 0.998])
    edges = np.linspace(low, max(high, low + 1e-6), _BINS + 1)
    axes: list[Axes] = list(figure.subplots(len(series), 1, sharex=True, squeeze=False)[:, 0])
    for axis, (name, (scores, kinds)) in zip(axes, series.items(), strict=True):
        held = np.clip(scores, edges[0], edges[-1])
        for kind, colour, label in ((False, _NORMAL, "good"), (True, _DEFECTIVE, "defective")):
            axis.hist(held[kinds == kind], list(edges), color=colour, alpha=0.6, label=label)
        axis.set_title(name, fontsize=9, loc="left")
        axis.set_yticks([])
    axes[0].legend(frameon=False, fontsize=8, loc="upper right")
    axes[-1].set_xlabel("score (high is anomalous)")
    return figure


def _roc(series: Mapping[str, tuple[Scores, NDArray[np.bool_]]]) -> Figure:
    figure = Figure(figsize=(4.4, 4), layout="constrained")
    axis = figure.subplots()
    for name, (scores, kinds) in series.items():
        order = kinds[np.argsort(-scores, kind="stable")]
        hits, alarms = np.cumsum(order) / order.sum(), np.cumsum(~order) / (~order).sum()
        axis.plot(np.r_[0, alarms], np.r_[0, hits], label=name)
    axis.plot([0, 1], [0, 1], color="#bbbbbb", linewidth=0.8)
    axis.set(xlabel="false alarms", ylabel="defects found")
    axis.legend(frameon=False, fontsize=8)
    return figure


def _maps(measured: Evaluation, module: Served) -> Figure:
    """Draw some defective pictures and two good ones under the largest attack, each beside its map."""
    name, found = list(measured.attacked.items())[-1]
    kinds = measured.anomalous[measured.chosen]
    bad, good = np.flatnonzero(kinds), np.flatnonzero(~kinds)
    rows = np.r_[bad[:: max(1, len(bad) // _SHOWN)][:_SHOWN], good[:2]]
    pictures = rounded(found.pictures[torch.from_numpy(rows)])
    with torch.inference_mode():
        maps = module(torch.from_numpy(pictures))[1].numpy()
    figure = Figure(figsize=(1.6 * len(rows), 3.4), layout="constrained")
    axes = figure.subplots(2, len(rows), squeeze=False)
    for column, (picture, anomaly_map, row) in enumerate(zip(pictures, maps, rows, strict=True)):
        axes[0, column].imshow(picture.squeeze(), cmap="gray", vmin=0, vmax=255)
        axes[1, column].imshow(anomaly_map, cmap="magma", vmin=maps.min(), vmax=maps.max())
        axes[0, column].set_title("defective" if kinds[row] else "good", fontsize=8)
        for axis in axes[:, column]:
            axis.set_axis_off()
    figure.suptitle(f"attacked by {name}, and the map", fontsize=9)
    return figure
