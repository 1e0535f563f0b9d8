"""The table of the bench, on the terminal and as markdown, and its plot."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from bench.shift.cells import MILD, SEVERE, UNSHIFTED, Cell, is_held, share_held
from trainer.evaluation.corruption import SEVERITIES

Row = Mapping[str, Any]  # data, model, rate, threshold, cells: name → figures
_HEAD = ("data", "model", "cells", "held", "held, station good", "held, station half defective")


def with_stations(found: Mapping[str, Any], defective: int) -> dict[str, float] | None:
    """Return a cell's figures behind its stations, the mean over those drawn with so many defective
    pictures.
    """
    drawn = [one for one in found["stations"] if one["defective"] == defective]
    if not drawn:
        return None
    return {name: float(np.mean([one[name] for one in drawn])) for name in ("false_alarms", "recall")}


def held(row: Row, defective: int | None = None) -> float:
    """Return the share of a row's cells that are held, behind stations where ``defective`` says of which."""
    pairs = []
    for name, found in row["cells"].items():
        figures = found if defective is None else with_stations(found, defective)
        if name != UNSHIFTED and figures is not None:
            pairs.append((cell_named(name), figures))
    return share_held(pairs, row["cells"][UNSHIFTED], row["rate"])


def cell_named(name: str) -> Cell:
    """Return the cell of a name."""
    kind, _, severity = name.rpartition("-")
    found = next(one for one in SEVERITIES if str(one) == severity)
    return Cell(kind, found)


def headline(rows: Sequence[Row]) -> list[list[str]]:
    """Return the table of the one number: a line for each model on each data set, behind its head."""
    worst = [max((one["defective"] for one in _all_stations(row)), default=0) for row in rows]
    lines = [
        [
            row["data"],
            row["model"],
            str(len(row["cells"]) - 1),
            *(_number(held(row, of)) for of in (None, 0, most)),
        ]
        for row, most in zip(rows, worst, strict=True)
    ]
    return [list(_HEAD), *lines]


def cell_table(row: Row) -> list[list[str]]:
    """Return the table of one model's cells: false alarms / recall / AUROC as it is, and behind its
    stations.
    """
    clean = row["cells"][UNSHIFTED]
    lines = [
        ["shift", "false alarms / recall / AUROC", "held", "station", "its false alarms / recall", "held"]
    ]
    for name, found in row["cells"].items():
        plain = f"{found['false_alarms']:.2f} / {found['recall']:.2f} / {found['auroc']:.3f}"
        mark = "" if name == UNSHIFTED else _mark(name, found, clean, row["rate"])
        for place, defective in enumerate(_defective(found) or [None]):
            shown = [name, plain, mark] if place == 0 else ["", "", ""]
            lines.append([*shown, *_station_cells(name, found, defective, row)])
    return lines


def markdown(rows: Sequence[Row], command: str) -> str:
    """Return the page: the command that made it, the one number of each model, its cells."""
    parts = [
        f"`{command}`",
        f"A cell is held when at most {MILD:g} times the promised rate of good parts alarm at severity 1, "
        f"{SEVERE:g} times at 2 and 3, and at most 5 points of recall are lost.",
        _markdown_table(headline(rows)),
    ]
    for row in rows:
        parts.append(
            f"## {row['data']}, {row['model']}\nthreshold {row['threshold']:.4g} for {row['rate']:g}, "
            f"from {row['normals']} normals ({row['source']})"
        )
        parts.append(_markdown_table(cell_table(row)))
    return "\n\n".join(parts) + "\n"


def draw(path: Path, row: Row) -> None:
    """Write a plot of one model: false alarms and recall of every cell, as it is and behind its stations."""
    names = [name for name in row["cells"] if name != UNSHIFTED]
    figure = Figure(figsize=(max(6, 0.24 * len(names)), 5), layout="constrained")
    axes = figure.subplots(2, 1, sharex=True)
    for axis, what in zip(axes, ("false_alarms", "recall"), strict=True):
        axis.plot([row["cells"][name][what] for name in names], "o", color="#cc6677", label="as it is")
        after = [with_stations(row["cells"][name], 0) for name in names]
        axis.plot(
            [np.nan if one is None else one[what] for one in after], "x", color="#4477aa", label="station"
        )
        axis.axhline(row["cells"][UNSHIFTED][what], color="#bbbbbb", linewidth=0.8)
        axis.set(ylabel=what.replace("_", " "), ylim=(-0.03, 1.03))
    axes[0].legend(frameon=False, fontsize=8)
    axes[1].set_xticks(range(len(names)), names, rotation=90, fontsize=7)
    figure.savefig(path, dpi=120)


def _defective(found: Mapping[str, Any]) -> list[int | None]:
    return list(dict.fromkeys(one["defective"] for one in found["stations"]))


def _station_cells(name: str, found: Mapping[str, Any], defective: int | None, row: Row) -> list[str]:
    after = None if defective is None else with_stations(found, defective)
    if after is None:
        return ["", "", ""]
    drawn = [one["kind"] for one in found["stations"] if one["defective"] == defective]
    chosen = ", ".join(f"{kind} x {drawn.count(kind)}" for kind in dict.fromkeys(drawn))
    mark = "" if name == UNSHIFTED else _mark(name, after, row["cells"][UNSHIFTED], row["rate"])
    return [f"{defective} bad: {chosen}", f"{after['false_alarms']:.2f} / {after['recall']:.2f}", mark]


def _mark(name: str, found: Mapping[str, Any], clean: Mapping[str, Any], rate: float) -> str:
    return "yes" if is_held(cell_named(name), found, clean, rate) else "no"


def _all_stations(row: Row) -> list[Mapping[str, Any]]:
    return [one for found in row["cells"].values() for one in found["stations"]]


def _number(share: float) -> str:
    return "–" if np.isnan(share) else f"{share:.3f}"


def _markdown_table(lines: Sequence[Sequence[str]]) -> str:
    head, *body = lines
    rows = [head, ["---"] * len(head), *body]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
