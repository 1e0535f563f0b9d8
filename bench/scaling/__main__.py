"""Sizes lines of 10 to 10,000 cameras: ``python -m bench.scaling``, or ``make bench-scaling``.

It measures a line here, predicts the same line by simulation, and says how far the prediction was off.
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from bench.line import latency
from bench.line.__main__ import environment
from bench.line.environment import CAMERAS
from bench.line.pictures import DISTINCT, SIDE, jpegs
from bench.line.report import Section, machine, percentile
from bench.scaling.costs import FrameCosts, read_costs
from bench.scaling.simulator import LinePlan, LineSimulation, PlannedEvents, SimulatedDay
from bench.scaling.sizing import SizingAssumptions, size_line
from steadyline.terminal import PlainConsole

SIZES = (10, 100, 1_000, 10_000)
SECONDS = 60.0


def main(
    rate: Annotated[
        float, typer.Option(min=20, help="Frames a second of the measured line, over its four cameras.")
    ] = 300.0,
    out: Annotated[
        Path | None, typer.Option(help="File to write the figures to as JSON; by default none.")
    ] = None,
) -> None:
    """Measure a line, predict it, and print what larger lines need; about two minutes."""
    progress, console = PlainConsole(stderr=True), PlainConsole()
    found: dict[str, Any] = {"machine": machine()}
    progress.print(f"machine: {found['machine']}")
    with environment(progress.print) as made:
        measured = latency.measure(made, jpegs(DISTINCT, SIDE), rate, progress.print)
    measured.show(console)
    figures = list(measured.figures.values())
    for section in (_compared(figures, found["machine"]["cores"]), *_larger(read_costs(figures[0]))):
        section.show(console)
        found[section.name] = section.figures
    if out is not None:
        out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def _compared(figures: list[dict[str, Any]], cores: int) -> Section:
    """Predict each measured load on the cores that strangers left, with the costs measured at it."""
    rows, kept = [], {}
    for figure in figures:
        rate, costs = figure["frames_per_second"], read_costs(figure)
        plan = LinePlan(len(CAMERAS), rate / len(CAMERAS), len(CAMERAS), 1, shared_cores=cores)
        outcome = LineSimulation(plan, costs).run(SECONDS)
        row: dict[str, float] = {}
        for name, fraction in (("p50_ms", 0.50), ("p99_ms", 0.99)):
            told, seen = 1000 * percentile(outcome.latencies, fraction), figure["to the score"][name]
            row |= {f"predicted_{name}": round(told, 1), name: seen, f"error_{name}": told / seen - 1}
        kept[f"{rate:g} a second"] = row
        names = ("p50_ms", "predicted_p50_ms", "p99_ms", "predicted_p99_ms")
        errors = [f"{row[f'error_{name}']:+.0%}" for name in ("p50_ms", "p99_ms")]
        rows.append([f"{rate:.0f} a second", *(f"{row[name]:.1f}" for name in names), *errors])
    columns = ("", "p50 ms", "predicted", "p99 ms", "predicted", "error p50", "error p99")
    return Section("prediction", "From capture to score, measured and predicted", kept, columns, rows)


def _larger(costs: FrameCosts) -> list[Section]:
    assumed = SizingAssumptions()
    sized = [size_line(cameras, costs, assumed) for cameras in SIZES]
    rows = [
        [
            f"{one.cameras:,}",
            f"{one.frames_per_second:,.0f}",
            f"{one.megabytes_per_second:,.0f}",
            f"{one.partitions:,}",
            f"{one.scorers:,}",
            f"{one.triton_cores:,} or {one.cards}",
            f"{one.brokers:,}",
            f"{one.broker_terabytes:,.1f}",
            f"{one.store_terabytes:,.1f}",
        ]
        for one in sized
    ]
    columns = (
        *("cameras", "frames/s", "MB/s", "partitions", "scorers", "Triton: cores or cards"),
        *("brokers", "brokers TB", "store TB"),
    )
    first = [f"{one.cameras:,} cameras: first short of {one.breaks_first}" for one in sized]
    note = "\n".join([*first, "assumed:", *(f"  {name} {value}" for name, value in asdict(assumed).items())])
    figures = {str(one.cameras): asdict(one) for one in sized} | {"assumed": asdict(assumed)}
    return [
        Section("sizing", "What lines need", figures, columns, rows, note),
        _bad_days(costs),
    ]


def _bad_days(costs: FrameCosts) -> Section:
    """Predict 100 cameras on machines of their own: as usual, over a swap, and over a scorer that is lost."""
    assumed = SizingAssumptions()
    sized = size_line(100, costs, assumed)
    plan = LinePlan(
        100, assumed.frames_per_second, sized.partitions, sized.scorers, triton_servers=sized.triton_cores
    )
    days = {
        "as usual": PlannedEvents(),
        "a swap": PlannedEvents(swap_at=20.0),
        "a scorer is lost": PlannedEvents(lost_at=20.0),
    }
    found = {name: LineSimulation(plan, costs, events).run(SECONDS) for name, events in days.items()}
    rows = [[name, *_told(outcome)] for name, outcome in found.items()]
    title = f"100 cameras, {sized.scorers} scorers, {sized.triton_cores} cores of Triton, predicted"
    figures = {row[0]: row[1:] for row in rows}
    return Section("events", title, figures, ("", "p50 ms", "p99 ms", "max ms", "most waiting"), rows)


def _told(outcome: SimulatedDay) -> list[str]:
    values = [percentile(outcome.latencies, 0.5), percentile(outcome.latencies, 0.99), max(outcome.latencies)]
    return [*(f"{1000 * value:.1f}" for value in values), str(outcome.most_waiting)]


if __name__ == "__main__":
    typer.run(main)
