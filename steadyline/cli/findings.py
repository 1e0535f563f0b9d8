"""Shows a report of findings on the terminal."""

import json

import typer
from rich.console import Console
from rich.markup import escape

from steadyline.ops.doctor.finding import Report
from steadyline.service import EXIT_FAILED

_MARKS = {"ok": "[green]ok     [/]", "failed": "[bold red]failed [/]", "skipped": "[yellow]skipped[/]"}


def conclude(report: Report, as_json: bool, **facts: object) -> None:
    """Print the report, with ``facts`` in the JSON; exit status 1 when a check failed."""
    if as_json:
        print(json.dumps({**facts, **report.as_json()}, indent=2))
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
