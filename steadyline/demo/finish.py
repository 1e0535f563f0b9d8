"""The end of the demonstration: evaluate both versions, draw the contact sheet, print the account."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

from rich.table import Table

from steadyline.contracts.model_event import Model, ModelEvent
from steadyline.demo.contact_sheet import contact_sheet, most_anomalous
from steadyline.demo.figures import latencies, swap_figures
from steadyline.demo.plan import CAMERAS, DemoPlan
from steadyline.demo.run import DemoFailed, Outcome
from steadyline.store import Store
from steadyline.terminal import PlainConsole

EVALUATION_TIMEOUT = timedelta(hours=1)  # minutes on two idle cores; beside a build 15 were not enough
ACCOUNT_FIELDS = (
    "captured", "scored", "dropped", "dead_lettered", "in_flight", "missing", "doubled", "out_of_order",
)  # fmt: skip


def summarise(plan: DemoPlan, outcome: Outcome, environment: Mapping[str, str]) -> dict[str, Any]:
    """Return the summary; evaluates both versions on the held-out frames in parallel (a minute or two)."""
    with outcome.observed.lock:
        scores, event = list(outcome.observed.scores), outcome.observed.model
    if event is None:
        raise DemoFailed("no model event was seen")
    store = Store(outcome.line.store, may_be_clear=outcome.line.store_in_clear)
    sheet = contact_sheet(most_anomalous(scores, 3), store, plan.contact_sheet)
    with ThreadPoolExecutor(2) as pool:
        models = list(pool.map(lambda model: evaluated(model, plan), _first_two(event)))
    return {
        "accounting": account(plan, environment),
        "swap": swap_figures(event, scores, outcome.failed_requests),
        "latency_ms": latencies(scores),
        "alerts": outcome.alerts,
        "models": models,
        "cameras": list(CAMERAS),
        "contact_sheet": str(sheet),
        "written_to": str(plan.home),
        "seconds": round(time.monotonic() - outcome.started, 1),
    }


def _first_two(event: ModelEvent) -> list[Model]:
    return [model for model in event.models if model.version <= 2]


def account(plan: DemoPlan, environment: Mapping[str, str]) -> dict[str, int]:
    """Return the accounting identity as ``steadyline audit`` proves it from the topics."""
    command = [sys.executable, "-P", "-m", "steadyline", "audit", "--line", str(plan.line_file), "--json"]
    answer = answer_of(command, environment)
    totals = json.loads(answer)["totals"]
    return {name: int(totals[name]) for name in ACCOUNT_FIELDS}


def evaluated(model: Model, plan: DemoPlan) -> dict[str, Any]:
    """Return one row of ``models``: clean and attacked AUROC on the held-out frames, by real labels."""
    package = model.package.uri.removeprefix("file://")
    command = [
        sys.executable, "-P", "-m", "trainer", "evaluate", "--data", str(plan.held_out), "--model", package,
        "--json", "--quick", "--pgd-steps", str(plan.pgd_steps),
    ]  # fmt: skip
    figures = json.loads(answer_of(command, {}))["image_auroc"]
    return {
        "version": model.version,
        "detector": model.detector,
        "state": model.state,
        "training_seconds": round(model.figures.get("training_seconds", 0.0), 1),
        "clean_auroc": figures["clean"],
        "pgd_auroc": {epsilon: steps[str(plan.pgd_steps)] for epsilon, steps in figures["pgd"].items()},
    }


def show(summary: Mapping[str, Any], console: PlainConsole) -> None:
    """Print the account and the figures."""
    numbers = summary["accounting"]
    console.rule("accounting")
    console.print(
        f"captured {numbers['captured']} = scored {numbers['scored']} + dropped {numbers['dropped']} "
        f"+ dead-lettered {numbers['dead_lettered']} + in flight {numbers['in_flight']}   "
        f"missing {numbers['missing']} · doubled {numbers['doubled']} "
        f"· out of order {numbers['out_of_order']}"
    )
    swap = summary["swap"]
    console.rule("swap")
    verb = "swapped in" if swap["accepted"] else "refused"
    console.print(f"v{swap['to_version']} was {verb}: {swap['reason']}")
    console.print(
        f"failed requests {swap.get('failed_requests')}; capture-to-score p99 {swap.get('p99_ms_during')} ms "
        f"within 5 s of the decision, {swap.get('p99_ms_outside')} ms outside"
    )
    latency = summary["latency_ms"]
    console.print(f"capture-to-score p50 {latency['p50']} ms, p99 {latency['p99']} ms over the whole run")
    _show_alerts(summary["alerts"], console)
    console.print(_models_table(summary["models"]))
    console.print(f"three anomalous frames with their maps: {summary['contact_sheet']}", soft_wrap=True)
    console.print(f"everything was written under {summary['written_to']}", soft_wrap=True)


def _show_alerts(alerts: Mapping[str, Any], console: PlainConsole) -> None:
    console.rule("alerts")
    kinds = ", ".join(f"{kind} {count}" for kind, count in alerts["incidents_by_kind"].items())
    console.print(f"{alerts['incidents']} incidents: {kinds}")
    console.print(
        f"{alerts['deliveries']} deliveries; {alerts['webhook_verified']} webhooks with a right signature, "
        f"{alerts['webhook_refused']} without"
    )
    delay = alerts["capture_to_alert_ms"]
    console.print(
        f"capture to alert p50 {delay['p50']} ms, p99 {delay['p99']} ms, fastest {delay['fastest']} ms over "
        f"{delay['count']} incidents"
    )
    console.print(
        f"{alerts['camera_unplugged']} was unplugged, alerted after {alerts['camera_down_seconds']} s and "
        f"resolved {alerts['camera_back_seconds']} s after its return"
    )


def _models_table(models: list[dict[str, Any]]) -> Table:
    table = Table(title="AUROC on held-out frames, by real labels (PGD on both sides, end to end)")
    for column in ("version", "state", "trained in", "clean", "PGD 2/255", "PGD 4/255"):
        table.add_column(column, justify="right")
    for model in models:
        attacked = [f"{model['pgd_auroc'][epsilon]:.3f}" for epsilon in ("2/255", "4/255")]
        seconds = f"{model['training_seconds']:.0f} s"
        table.add_row(
            f"v{model['version']}", model["state"], seconds, f"{model['clean_auroc']:.3f}", *attacked
        )
    return table


def answer_of(
    command: list[str], environment: Mapping[str, str], within: timedelta = EVALUATION_TIMEOUT
) -> str:
    """Return what one of our commands prints; raises DemoFailed when it fails, or takes longer than that."""
    told = " ".join(command[3:6])
    try:
        done = subprocess.run(
            command,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=within.total_seconds(),
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise DemoFailed(f"{told}: not done within {within}; does this machine have other work?") from error
    if done.returncode not in (0, 1):
        raise DemoFailed(f"{told} failed with {done.returncode}:", *done.stderr[-2000:].splitlines())
    return done.stdout
