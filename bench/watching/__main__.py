"""Watches a real line: ``python -m bench.watching``, or ``make verify-dashboards``."""

import shutil
import time
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Annotated

import typer
import yaml

from bench.line.report import machine
from bench.watching.cause import Cause
from bench.watching.causes import CAUSES
from bench.watching.firing import FiringAlerts
from bench.watching.line import ROOT, ObservedLine
from bench.watching.prometheus import Prometheus
from bench.watching.queries import PanelRows, run_queries
from bench.watching.report import FiredAlerts, markdown
from steadyline.errors import SteadylineError
from steadyline.servers import LocalStack, StackPaths
from steadyline.settings import TelemetrySettings
from steadyline.telemetry.logs import configure_logs
from steadyline.terminal import PlainConsole

HOME = ROOT / "var" / "verify-dashboards"
RULES = sorted((ROOT / "deploy" / "rules").glob("*.yaml"))
FACTOR = 15.0  # a minute of a rule is four seconds here, so that a cause needs no hour
FLOW_SECONDS = 60.0  # of a healthy line, before the dashboards are asked
LATE_WITHIN, CALM_WITHIN = 60.0, 75.0


def main(
    only: Annotated[
        list[str] | None,
        typer.Option(help="Word in the causes to try; repeatable; by default all causes."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="File for the tables; by default they are printed.")
    ] = None,
) -> None:
    """Run every query of the dashboards on a line's data, then make each alert fire; half an hour."""
    console = PlainConsole(soft_wrap=True)
    configure_logs("bench", TelemetrySettings(log_level="warning"))
    shutil.rmtree(HOME, ignore_errors=True)
    causes = [one for one in CAUSES if not only or any(word in one.what for word in only)]
    facts = machine()
    with ExitStack() as stack:
        servers = stack.enter_context(LocalStack(StackPaths.of_checkout(HOME / "servers", ROOT)))
        prometheus = stack.enter_context(Prometheus(HOME / "prometheus", RULES, FACTOR))
        line = stack.enter_context(closing(ObservedLine(HOME / "line", servers, prometheus)))
        console.print("training a model and starting the line")
        line.start_all()
        console.print(f"the line runs for {FLOW_SECONDS:.0f} s")
        time.sleep(FLOW_SECONDS)
        panels = list(run_queries(prometheus))
        for one in panels:
            console.print(f"{one.dashboard}: {one.panel.title}: {', '.join(map(str, one.rows))}")
        fired = [_make(line, cause, console) for cause in causes]
    text = markdown(facts, panels, fired, _unfired(fired))
    if out is None:
        console.print(text)
    else:
        out.write_text(text, encoding="utf-8")
        console.print(f"written to {out}")
    raise typer.Exit(_status(panels, fired, console))


def _make(line: ObservedLine, cause: Cause, console: PlainConsole) -> FiredAlerts:
    """Make a cause while its alerts are quiet; wait for them, end it, wait until the line scores again."""
    firing = FiringAlerts(line.prometheus)
    firing.quiet(cause.every, CALM_WITHIN)
    try:
        with cause.act(line):
            firing.wait(cause.alerts, cause.within)
        firing.wait(cause.afterwards, LATE_WITHIN)
        line.until_scored()
    except (TimeoutError, SteadylineError) as error:  # the other causes can be made all the same
        console.print(f"{cause.what}: {error}")
    made = firing.of(cause)
    told = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in made.seconds.items())
    console.print(f"{cause.what}: {told}; missing: {made.missing}; others: {sorted(made.others)}")
    return made


def _unfired(fired: list[FiredAlerts]) -> list[str]:
    groups = [group for path in RULES for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]]
    names = {rule["alert"] for group in groups for rule in group["rules"] if "alert" in rule}
    return sorted(names - {name for one in fired for name in (*one.seconds, *one.others)})


def _status(panels: list[PanelRows], fired: list[FiredAlerts], console: PlainConsole) -> int:
    """Return 1 where a panel is empty without a reason or an alert did not fire."""
    empty = [f"{one.dashboard}: {one.panel.title}" for one in panels if not one.is_right]
    missing = [f"{one.cause.what}: {', '.join(one.missing)}" for one in fired if one.missing]
    for problem in (*empty, *missing):
        console.print(f"missing: {problem}")
    return int(bool(empty or missing))


if __name__ == "__main__":
    typer.run(main)
