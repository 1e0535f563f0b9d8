"""Tries the deliveries of alerts: ``python -m bench.alerts``, or ``make bench-deliveries``.

It uses a real Kafka, real processes of the alerts service, SQLite and PostgreSQL.
"""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from bench.alerts import deliveries, takeover
from bench.alerts.postgres import postgres
from bench.alerts.report import delivery_section, takeover_section
from bench.alerts.rig import AlertsRig
from bench.line.report import machine
from steadyline.servers import LocalStack, StackPaths
from steadyline.service import EXIT_FAILED
from steadyline.terminal import PlainConsole

ROOT = Path(__file__).resolve().parents[2]
HOME = ROOT / "var" / "bench-alerts"


class DatabaseName(StrEnum):
    """The databases, in their order."""

    SQLITE = "sqlite"
    POSTGRESQL = "postgresql"


class PartName(StrEnum):
    """What is tried, in its order."""

    DELIVERIES = "deliveries"
    TAKEOVER = "takeover"


def main(
    alerts: Annotated[
        int, typer.Option(min=12, help="Alerts to cause for the deliveries, on each database.")
    ] = 10_000,
    database: Annotated[
        list[DatabaseName] | None, typer.Option(help="Database to try; repeatable; by default both.")
    ] = None,
    only: Annotated[
        list[PartName] | None, typer.Option(help="Part to try; repeatable; by default both.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Deliver alerts to five endpoints over three kills, and kill one of two processes; about ten minutes."""
    progress, console = PlainConsole(stderr=True), PlainConsole(stderr=as_json)
    found: dict[str, Any] = {"machine": machine()}
    progress.print(f"machine: {found['machine']}")
    kept = True
    paths = StackPaths.of_checkout(HOME / "servers", ROOT)
    with LocalStack(paths, ("kafka",), fresh=True) as stack:
        for name in database or list(DatabaseName):
            for part in only or list(PartName):
                progress.print(f"{part} on {name}")
                with rig_on(name, part, stack) as rig:
                    if part is PartName.DELIVERIES:
                        delivered = deliveries.measure(rig, alerts, progress.print)
                        section, kept = delivery_section(name, delivered), kept and delivered.is_as_promised
                        found[f"{part} on {name}"] = asdict(delivered)
                    else:
                        taken = takeover.measure(rig, progress.print)
                        section, kept = takeover_section(name, taken), kept and taken.is_as_promised
                        found[f"{part} on {name}"] = asdict(taken)
                section.show(console)
    if kept:
        shutil.rmtree(HOME, ignore_errors=True)
    if as_json:
        print(json.dumps(found, indent=1))
    if not kept:
        console.print(f"not as promised; the logs are in {HOME}")
        raise typer.Exit(EXIT_FAILED)


@contextmanager
def rig_on(name: DatabaseName, part: PartName, stack: LocalStack) -> Iterator[AlertsRig]:
    """Yield a line with a new database."""
    home = HOME / f"{part}-{name}"
    if name is DatabaseName.SQLITE:
        with AlertsRig(home, stack) as rig:
            yield rig
    else:
        with postgres() as address, AlertsRig(home, stack, address) as rig:
            yield rig


if __name__ == "__main__":
    typer.run(main)
