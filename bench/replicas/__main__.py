"""Kills brokers of a cluster of three below a running line: ``make bench-replicas``."""

import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from bench.faults.line import CAMERAS, FPS, ROOT, SIDE
from bench.line.report import machine
from bench.replicas.line import ReplicaBench, ReplicaLine, replica_bench
from bench.replicas.measure import CLUSTER_FAULTS, LATE_SECONDS, ClusterRow, measure
from steadyline.terminal import PlainConsole

HOME = ROOT / "var" / "bench-replicas"
COLUMNS = (
    "fault", "captured", "scored", "dropped", "lost", "doubled", "out of order", "longest gap s",
    "latest score s", "in time again s", "after the restart s", "brokers up s", "what was said",
)  # fmt: skip
SETTING = (
    f"Three brokers on one machine, each a controller too; {len(CAMERAS)} cameras of {FPS:g} frames a "
    f"second, {SIDE} pixels a side, in one process of producers, two scorers, Redis, Triton. Times count "
    "from the first kill: frames are in time again with brokers still away; the two behind it from when the "
    "last brokers were started again, until frames were in time and until these brokers answered. A "
    f"frame is in time when its score is on its topic {LATE_SECONDS:g} s after its capture."
)


def main(
    home: Annotated[Path, typer.Option(help="Folder for servers and logs.")] = HOME,
    only: Annotated[
        list[str] | None,
        typer.Option(help="Word in the names of the faults to try; repeatable, by default all."),
    ] = None,
) -> None:
    """Try each fault on a line of its own, and print the table; about eight minutes."""
    console = PlainConsole(soft_wrap=True)
    facts = ", ".join(f"{name} {value}" for name, value in machine().items())
    console.print(f"machine: {facts}")
    console.print(SETTING)
    with replica_bench(home) as bench:
        _look_at_topics(bench, console)
        rows = []
        for number, fault in enumerate(CLUSTER_FAULTS):
            if only and not any(word in fault.name for word in only):
                continue
            began = time.monotonic()
            rows.append(measure(bench, fault, number))
            console.print(f"{time.monotonic() - began:.0f} s: {rows[-1].fault.name}")
            console.print(" | ".join(cells(rows[-1])))
    for line in table(rows):
        console.print(line)
    failed = [row.fault.name for row in rows if not row.is_as_promised]
    console.print(f"Not as promised: {', '.join(failed) or 'nothing'}.")
    if failed:
        raise typer.Exit(1)


def _look_at_topics(bench: ReplicaBench, console: PlainConsole) -> None:
    """Print what `steadyline topics check` says of a line's topics on the cluster."""
    with closing(ReplicaLine(bench, "topics")) as line:
        checked = line.steadyline("topics", "check")
        for text in checked.stdout.splitlines():
            console.print(f"topics check: {text}")


def table(rows: Sequence[ClusterRow]) -> list[str]:
    """Return the rows as Markdown."""
    lines = [f"| {' | '.join(COLUMNS)} |", f"|{'---|' * len(COLUMNS)}"]
    return lines + [f"| {' | '.join(cells(row))} |" for row in rows]


def cells(row: ClusterRow) -> list[str]:
    """Return the texts of one row."""
    names = ("captured", "scored", "missing", "doubled", "out_of_order")
    captured, scored, *wrong = (str(row.totals.get(name, "?")) for name in names)
    dropped = ", ".join(f"{count} {reason}" for reason, count in row.dropped.items()) or "0"
    times = [
        f"{row.longest_gap:.1f}",
        f"{row.latest:.1f}",
        _seconds(row.while_away),
        _seconds(row.since_start),
        f"{row.starting:.1f}",
    ]
    told = row.said.replace("|", "/") + (f" **{row.failure}**" if row.failure else "")
    return [row.fault.name, captured, scored, dropped, *wrong, *times, told]


def _seconds(value: float | None) -> str:
    return "never" if value is None else f"{value:.1f}"


if __name__ == "__main__":
    typer.run(main)
