"""``steadyline doctor``: is everything as it must be, and what to do where it is not."""

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from steadyline.bank.redis import RedisBank
from steadyline.cli.servers import STATE, server_settings
from steadyline.clock import SystemClock
from steadyline.doctor.examine import Surroundings, examine
from steadyline.doctor.finding import Report
from steadyline.kafka.client import KafkaBroker
from steadyline.lifecycle import EXIT_FAILED
from steadyline.line import load_line
from steadyline.triton import TritonClient

_MARKS = {"ok": "[green]ok     [/]", "failed": "[bold red]failed [/]", "skipped": "[yellow]skipped[/]"}


def command(
    line: Annotated[
        Path | None, typer.Option("--line", envvar="STEADYLINE_LINE", help="The line file.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable output.")] = False,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Write no probe to Kafka or to the store.")
    ] = False,
    stack: Annotated[
        Path, typer.Option(help="Record of `steadyline up`, for servers the environment does not name.")
    ] = STATE,
) -> None:
    """Check the servers, topics, clocks, models, banks and the store; exit status 1 when a check fails.

    Without a line file only the servers are checked (line.yaml in this folder is taken when it is there).
    A small message goes to the topic <prefix>.doctor.v1, where the broker stamps it with its own time.
    """
    path = line or (Path("line.yaml") if Path("line.yaml").exists() else None)
    config = load_line(path) if path is not None else None
    kafka, redis, triton = server_settings(stack)
    with ExitStack() as cleanup:
        broker, bank, client = KafkaBroker(kafka, "steadyline-doctor"), RedisBank(redis), TritonClient(triton)
        for part in (broker, bank, client):
            cleanup.callback(part.close)
        has_key = triton.admin_key is not None
        report = examine(
            Surroundings(broker, bank, client, has_key, SystemClock(), config, may_write=not read_only)
        )
    if as_json:
        print(json.dumps(report.as_json(), indent=2))
    else:
        _show(report, Console(soft_wrap=True, highlight=False))
    if not report.is_healthy:
        raise typer.Exit(EXIT_FAILED)


def _show(report: Report, console: Console) -> None:
    for finding in report.findings:
        console.print(f"{_MARKS[finding.state]} {escape(finding.check)}: {escape(finding.found)}")
        if finding.remedy:
            console.print(f"        → {escape(finding.remedy)}")
    failed = sum(finding.state == "failed" for finding in report.findings)
    console.print(f"[bold red]{failed} failed[/]" if failed else "[green]all is well[/]")
