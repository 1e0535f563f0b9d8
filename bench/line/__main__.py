"""Measures a line: ``python -m bench.line [--only SECTION] [--json] [--out FILE]``, or ``make bench``.

It uses real Kafka and Triton, a real COBRA network and real processes. The machine may be shared: trust
ratios of rounds taken in turn, and CPU per frame, more than frames a second.
"""

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from bench.line import alerting, capture, latency, stages, swap, throughput
from bench.line.environment import PRODUCT, ROOT, BenchEnvironment, BenchLine
from bench.line.model import model_for
from bench.line.pictures import DISTINCT, SIDE, jpegs
from bench.line.report import Section, machine
from steadyline.servers import LocalStack, StackPaths
from steadyline.settings import TelemetrySettings
from steadyline.telemetry.logs import configure_logs
from steadyline.terminal import PlainConsole

HOME = ROOT / "var" / "bench"


class SectionName(StrEnum):
    """The sections, in their order."""

    THROUGHPUT = "throughput"
    STAGES = "stages"
    LATENCY = "latency"
    SWAP = "swap"
    PRODUCERS = "producers"
    ALERTS = "alerts"


def main(
    only: Annotated[
        list[SectionName] | None,
        typer.Option(help="Section to measure; repeatable; by default all sections."),
    ] = None,
    side: Annotated[int, typer.Option(min=64, help="Side of the cameras' frames in pixels.")] = SIDE,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
    out: Annotated[
        Path | None, typer.Option(help="File to write the figures to as JSON; by default none.")
    ] = None,
) -> None:
    """Measure the scorer, the swap, the producers and the alerts on this machine; about six minutes."""
    progress, console = PlainConsole(stderr=True), PlainConsole(stderr=as_json)
    found: dict[str, Any] = {"machine": machine(), "frame_side": side}
    progress.print(f"machine: {found['machine']}")
    with environment(progress.print) as prepared:
        for section in sections(prepared, only or list(SectionName), jpegs(DISTINCT, side), progress.print):
            section.show(console)
            found[section.name] = section.figures
    text = json.dumps(found, indent=1)
    if out is not None:
        out.write_text(text + "\n", encoding="utf-8")
    if as_json:
        print(text)


@contextmanager
def environment(say: Callable[[str], None]) -> Iterator[BenchEnvironment]:
    """Start the servers and put a real model in service; remove all that was written afterwards."""
    configure_logs("bench", TelemetrySettings(log_level="warning"))
    say("a COBRA network, trained a few steps (kept for the next time)")
    model = model_for(PRODUCT, HOME / "model")
    work = HOME / "work"
    shutil.rmtree(work, ignore_errors=True)
    say("starting Kafka and Triton")
    paths = StackPaths.of_checkout(HOME / "servers", ROOT)
    with LocalStack(paths, ("kafka", "triton"), fresh=True) as stack:
        made = BenchEnvironment(work, stack, model)
        made.serve(1)
        yield made
    shutil.rmtree(HOME / "servers", ignore_errors=True)
    shutil.rmtree(work, ignore_errors=True)


def sections(
    made: BenchEnvironment,
    names: Sequence[SectionName],
    pictures: Sequence[bytes],
    say: Callable[[str], None],
) -> Iterator[Section]:
    """Yield the sections asked for, in their order."""
    rate: float | None = None
    if SectionName.THROUGHPUT in names:
        say("1. throughput")
        section = throughput.measure(made, pictures, say)
        rate = section.figures["line_rate"]
        yield section
    if SectionName.STAGES in names:
        say("2. CPU by stage")
        yield stages.measure(made, pictures, say)
    if {SectionName.LATENCY, SectionName.SWAP, SectionName.ALERTS} & set(names):
        rate = rate or _rate(made, pictures)
    if SectionName.LATENCY in names and rate is not None:
        say("3. latency")
        yield latency.measure(made, pictures, rate, say)
    if SectionName.SWAP in names and rate is not None:
        say("4. swap")
        yield swap.measure(made, pictures, rate, say)
    if SectionName.PRODUCERS in names:
        say("5. producers")
        yield capture.measure(made, say)
    if SectionName.ALERTS in names and rate is not None:
        say("6. alerts")
        yield alerting.measure(made, pictures, rate, say)


def _rate(made: BenchEnvironment, pictures: Sequence[bytes]) -> float:
    """Return how many frames a second the line can bear, as one short round measures it."""
    with BenchLine(made, "rate") as line:
        return throughput.line_round(line, pictures, throughput.WARM + 1000).rate


if __name__ == "__main__":
    typer.run(main)
