"""Shows a report of findings on the terminal."""

import json

import typer

from steadyline.ops.doctor.finding import Report
from steadyline.service import EXIT_FAILED
from steadyline.terminal import PlainConsole, styled

_COLOURS = {"ok": "green", "failed": "bold red", "skipped": "yellow"}


def conclude(report: Report, as_json: bool, **facts: object) -> None:
    """Print the report, with ``facts`` in the JSON; exit status 1 when a check failed."""
    if as_json:
        print(json.dumps({**facts, **report.as_json()}, indent=2))
    else:
        _show(report, PlainConsole(soft_wrap=True))
    if not report.is_healthy:
        raise typer.Exit(EXIT_FAILED)


def _show(report: Report, console: PlainConsole) -> None:
    remedies = [finding.remedy for finding in report.findings]
    for finding, following in zip(report.findings, [*remedies[1:], ""], strict=True):
        mark = (f"{finding.state:7}", _COLOURS[finding.state])
        console.print(styled(mark, f" {finding.check}: {finding.found}"))
        if finding.remedy not in ("", following):  # one for all that stand together
            console.print(f"        → {finding.remedy}")
    failed = sum(finding.state == "failed" for finding in report.findings)
    verdict = (f"{failed} failed", "bold red") if failed else ("all is well", "green")
    console.print(styled(verdict))
