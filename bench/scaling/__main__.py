"""Sizes lines of 10 to 10,000 cameras: ``python -m bench.scaling``, or ``make bench-scaling``.

It measures a line here, predicts the same line by simulation, and says how far the prediction was off.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from bench.line import latency, throughput
from bench.line.__main__ import environment
from bench.line.environment import BenchLine
from bench.line.pictures import DISTINCT, SIDE, jpegs
from bench.line.report import Section, machine, percentile
from bench.scaling.costs import Figure, read_costs, whole_costs
from bench.scaling.outages import measure as measure_outages
from bench.scaling.prediction import compared, throughput_compared
from bench.scaling.simulator import LinePlan, LineSimulation, PlannedEvents, SimulatedDay
from bench.scaling.sizing import SizingAssumptions, largest_picture, size_line
from steadyline.terminal import PlainConsole

SIZES, BROKERS = (10, 100, 1_000, 10_000), (3, 9)
SECONDS = 60.0
MOST_FRAMES = 1000


def main(
    rate: Annotated[
        float, typer.Option(min=20, help="Frames a second of the measured line, over its four cameras.")
    ] = 300.0,
    figures: Annotated[
        Path | None,
        typer.Option(
            help="JSON file with two loads of an earlier run, the fuller first, to predict; by default a "
            "line is measured."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="File to write the figures to as JSON; by default none.")
    ] = None,
) -> None:
    """Measure a line and two faults, predict them, and print what larger lines need; about four minutes."""
    progress, console = PlainConsole(stderr=True), PlainConsole(width=120)
    found: dict[str, Any] = {"machine": machine()}
    progress.print(f"machine: {found['machine']}")
    cores = found["machine"]["cores"]
    if figures is None:
        sections = _measured(rate, cores, progress.print)
    else:
        loads = json.loads(figures.read_text(encoding="utf-8"))
        costs = read_costs(loads)
        sections = [compared(loads, costs, cores), *_larger(loads)]
    for section in sections:
        section.show(console)
        found[section.name] = section.figures
    if out is not None:
        out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def _measured(rate: float, cores: int, say: Callable[[str], None]) -> list[Section]:
    """Measure a line here, and hold the prediction to it."""
    pictures = jpegs(DISTINCT, SIDE)
    with environment(say) as made:
        with BenchLine(made, "most") as line:
            most = throughput.line_round(line, pictures, throughput.WARM + MOST_FRAMES)
        measured = latency.measure(made, pictures, rate, say)
        loads = list(measured.figures.values())
        costs = read_costs(loads)
        outages = measure_outages(made, pictures, loads[-1]["frames_per_second"], costs, say)
    held = [compared(loads, costs, cores), throughput_compared(most, costs, cores)]
    return [measured, *held, outages, *_larger(loads)]


def _larger(loads: Sequence[Figure]) -> list[Section]:
    costs, assumed = whole_costs(loads[0]), SizingAssumptions()
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
            f"{one.broker_cores:,}",
            f"{one.broker_terabytes:,.1f}",
            f"{one.store_terabytes:,.1f}",
        ]
        for one in sized
    ]
    columns = (
        *("cameras", "frames/s", "MB/s", "partitions", "scorers", "Triton: cores or cards"),
        *("brokers", "their cores", "brokers TB", "store TB"),
    )
    first = [f"{one.cameras:,} cameras: first short of {one.breaks_first}" for one in sized]
    note = "\n".join([*first, "assumed:", *(f"  {name} {value}" for name, value in asdict(assumed).items())])
    figures = {str(one.cameras): asdict(one) for one in sized} | {"assumed": asdict(assumed)}
    return [
        Section("sizing", "What lines need", figures, columns, rows, note),
        _pictures(assumed),
        _bad_days(loads),
    ]


def _pictures(assumed: SizingAssumptions) -> Section:
    """Tell from which size on pictures would have to go to the store instead of Kafka."""
    found = [largest_picture(cameras, brokers, assumed) for cameras in SIZES for brokers in BROKERS]
    rows = [
        [
            f"{one.cameras:,}",
            str(one.brokers),
            f"{one.by_network / 1e3:,.1f}",
            f"{one.by_disks / 1e3:,.1f}",
            one.first,
        ]
        for one in found
    ]
    columns = ("cameras", "brokers", "KB by network", "KB by disks", "first")
    figures = {f"{one.cameras} cameras, {one.brokers} brokers": asdict(one) for one in found}
    title = f"The largest mean picture, {assumed.retention_seconds / 3600:.0f} h kept"
    return Section("pictures", title, figures, columns, rows)


def _bad_days(loads: Sequence[Figure]) -> Section:
    """Predict 100 cameras on machines of their own: as usual, over a swap, and over a scorer that is lost."""
    costs, assumed = read_costs(loads), SizingAssumptions()
    sized = size_line(100, whole_costs(loads[0]), assumed)
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
