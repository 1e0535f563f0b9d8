"""Shows an evaluation to people: a table on the terminal, and one HTML page that needs no other file."""

import base64
import io
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from jinja2 import Environment, select_autoescape
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from rich.table import Table

from steadyline.errors import InvalidConfiguration
from steadyline.package import Card
from steadyline.terminal import PlainConsole, styled
from trainer.evaluation.evaluate import Evaluation
from trainer.evaluation.subject import Scores

_BINS = 40
_NORMAL, _DEFECTIVE = "#4477aa", "#cc6677"  # Tol's palette: every eye tells them apart, also in print
_TEMPLATE = "report.html"


def report(evaluation: Evaluation, title: str, facts: Mapping[str, str]) -> str:
    """Return the page; its head lists the ``facts`` about model and data, in their order."""
    environment = Environment(autoescape=select_autoescape(), trim_blocks=True, lstrip_blocks=True)
    environment.filters["png"] = _embedded
    page = environment.from_string((files("trainer.evaluation") / _TEMPLATE).read_text(encoding="utf-8"))
    figures: dict[str, Any] = dict(evaluation.figures)
    return page.render(
        title=title,
        facts=facts,
        image=figures["image_auroc"],
        pixel=figures.get("pixel"),
        kinds=figures["kinds"],
        sanity=figures["sanity"],
        seconds=figures["seconds"],
        forward_ms=figures["forward_ms"],
        examples=evaluation.examples,
        histograms=_histograms(evaluation),
        curve=_curve(evaluation) if evaluation.curve else "",
    )


def write_report(path: Path, evaluation: Evaluation, card: Card, data: Path) -> None:
    """Write the page; raises InvalidConfiguration when it cannot be written."""
    good = int((~evaluation.anomalous).sum())
    attack: Any = evaluation.figures["attack"]
    facts = {
        "detector": f"{card.detector} ({card.profile})",
        "seed": str(card.seed),
        "trained": f"{card.trained_at:%Y-%m-%d %H:%M}",
        "data": f"{data.resolve().name}: {good} good and {len(evaluation.anomalous) - good} defective",
        "attacked": f"{attack['good']} good and {attack['defective']} defective, at {attack['at']} size",
    }
    page = report(evaluation, f"{card.product}, version {card.version}", facts)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise InvalidConfiguration(f"--report {path} cannot be written: {error.strerror}") from error


def is_believable(evaluation: Evaluation) -> bool:
    """True when every check of the figures holds."""
    rows: Any = evaluation.figures["sanity"]
    return all(row["holds"] for row in rows)


def show(evaluation: Evaluation, console: PlainConsole) -> None:
    """Print the figures and the checks."""
    figures: dict[str, Any] = dict(evaluation.figures)
    image = figures["image_auroc"]
    attack = figures["attack"]
    table = Table("image AUROC", "", title=None)
    for name, label in (("clean", "clean"), ("noise", "random signs")):
        table.add_row(label, f"{image[name]:.3f}")
    for size, found in image["pgd"].items():
        for steps, value in found.items():
            table.add_row(f"PGD-{steps} {size}", f"{value:.3f}")
    for size, sides in image["sides"].items():
        table.add_row(f"only defects hidden, {size}", f"{sides['hide']:.3f}")
        table.add_row(f"only false alarms raised, {size}", f"{sides['raise']:.3f}")
    for size, value in image.get("certified", {}).items():
        table.add_row(f"certified {size}", f"{value:.3f}")
    for name, value in image["corruptions"].items():
        table.add_row(name, f"{value:.3f}")
    if "pixel" in figures:
        table.add_row("pixel", f"{figures['pixel']['auroc']:.3f}")
        for size, value in figures["pixel"]["pgd"].items():
            table.add_row(f"pixel, PGD {size}", f"{value:.3f}")
    console.print(table)
    console.print(_kinds(figures["kinds"]))
    for row in figures["sanity"]:
        numbers = ", ".join(f"{name} {value:.3g}" for name, value in row["figure"].items())
        verdict = ("holds", "green") if row["holds"] else ("FAILS", "bold red")
        console.print(styled(verdict, f" {row['check']}: {numbers}"))
    console.print(f"attacked: {attack['good']} good and {attack['defective']} defective, {attack['at']} size")
    console.print(f"{figures['seconds']} s; {figures['forward_ms']} ms a picture")


def _kinds(kinds: Mapping[str, Mapping[str, float]]) -> Table:
    table = Table("kind of defect", "pictures", "image AUROC", "pixel AUROC", "AUPRO")
    for kind, own in kinds.items():
        figures = (own.get(name) for name in ("image_auroc", "pixel_auroc", "aupro"))
        table.add_row(
            kind, str(own["pictures"]), *("-" if value is None else f"{value:.3f}" for value in figures)
        )
    return table


def _histograms(evaluation: Evaluation) -> str:
    chosen = evaluation.anomalous[evaluation.chosen]
    rows = {"clean": (evaluation.clean, evaluation.anomalous)}
    rows |= {f"PGD {name}": (found.scores, chosen) for name, found in evaluation.attacked.items()}
    figure = Figure(figsize=(7, 1.7 * len(rows)), layout="constrained")
    everything = np.concatenate([scores for scores, _ in rows.values()])
    low, high = np.quantile(everything, [0.002, 0.998])
    edges = np.linspace(low, max(high, low + 1e-6), _BINS + 1)
    axes = figure.subplots(len(rows), 1, sharex=True, squeeze=False)[:, 0]
    for axis, (name, (scores, anomalous)) in zip(axes, rows.items(), strict=True):
        _histogram(axis, scores, anomalous, edges)
        axis.set_title(name, fontsize=9, loc="left")
    axes[0].legend(frameon=False, fontsize=8)
    axes[-1].set_xlabel("score (high is anomalous)")
    return _svg(figure)


def _histogram(axis: Axes, scores: Scores, anomalous: NDArray[np.bool_], edges: Any) -> None:
    held = np.clip(scores, edges[0], edges[-1])
    for kind, colour, label in ((False, _NORMAL, "good"), (True, _DEFECTIVE, "defective")):
        axis.hist(held[anomalous == kind], edges, color=colour, alpha=0.6, label=label)
    axis.set_yticks([])


def _curve(evaluation: Evaluation) -> str:
    points = [(epsilon * 255, value) for epsilon, value in evaluation.curve.items() if epsilon <= 0.05]
    figure = Figure(figsize=(7, 2.6), layout="constrained")
    axis = figure.subplots()
    axis.plot(*zip(*points, strict=True), marker="o", color=_NORMAL)
    axis.axhline(0.5, color="#bbbbbb", linewidth=0.8)
    axis.set(xlabel="largest change of a pixel, of 255", ylabel="AUROC, 20 steps", ylim=(0, 1))
    return _svg(figure)


def _embedded(png: bytes) -> str:
    """Return the address of a picture that lies in the page itself."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _svg(figure: Figure) -> str:
    """Return the figure as an SVG element, the same for the same numbers."""
    held = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "report", "svg.fonttype": "none"}):
        figure.savefig(held, format="svg", metadata={"Date": None})
    text = held.getvalue()
    return text[text.index("<svg") :]
