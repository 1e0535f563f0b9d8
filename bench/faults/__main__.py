"""Breaks a line in every way it is likely to break: ``python -m bench.faults``, or ``make bench-faults``."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from bench.faults.catalogue import FAULTS
from bench.faults.line import CAMERAS, DISKS, FPS, ROOT, SIDE, fault_bench
from bench.faults.measure import measure
from bench.faults.report import cells, markdown, write
from bench.line.report import machine
from steadyline.errors import InvalidConfiguration
from steadyline.terminal import PlainConsole

HOME = ROOT / "var" / "bench-faults"
SETTING = (
    f"One box: {len(CAMERAS)} cameras of {FPS:g} frames a second, {SIDE} pixels a side, in one process of "
    "producers, two scorers, a trainer, Kafka, Redis, Triton. A supervisor starts a service again a second "
    f"after its end. The disks that fill are tmpfs mounts of {DISKS['kafka']} (broker), {DISKS['store']} "
    f"(store) and {DISKS['spool']} MiB (spool). Redis and Triton answer through a TCP proxy; a slow store is "
    "a folder each of whose calls waits; the clock is that of the services, not of the broker."
)


def main(
    only: Annotated[
        list[str] | None,
        typer.Option(help="Word in the names of the faults to try; repeatable; by default all faults."),
    ] = None,
    list_: Annotated[bool, typer.Option("--list", help="Only name the faults.")] = False,
    home: Annotated[Path, typer.Option(help="Folder for servers, disks and logs.")] = HOME,
    out: Annotated[
        Path | None, typer.Option(help="File for the table; by default docs/results/<date>-faults.md.")
    ] = None,
) -> None:
    """Try each fault on a line of its own; about 25 minutes, as root (it mounts small disks)."""
    console = PlainConsole(soft_wrap=True)
    chosen = [fault for fault in FAULTS if not only or any(word in fault.name for word in only)]
    if not chosen:
        raise InvalidConfiguration(f"no fault has {only} in its name: see --list")
    if list_:
        for fault in chosen:
            console.print(fault.name)
        return
    facts = machine()
    rows = []
    with fault_bench(home) as bench:
        console.print("training a model")
        bench.train(versions=1)
        for number, fault in enumerate(chosen):
            rows.append(measure(bench, fault, number))
            console.print(" | ".join(cells(rows[-1])))
    path = out or ROOT / "docs" / "results" / f"{datetime.now(UTC):%Y-%m-%d}-faults.md"
    write(path, markdown(rows, facts, SETTING))
    console.print(f"written to {path}")


if __name__ == "__main__":
    typer.run(main)
