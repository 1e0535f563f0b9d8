"""Measures the time from a frame's capture to its alert, and how many scores one alerts process takes."""

import time
from collections.abc import Callable, Sequence
from typing import Any

from bench.alerts.endpoints import BenchEndpoint, endpoint
from bench.alerts.rig import CAMERAS, AlertsRig
from bench.line.account import CpuAccount
from bench.line.cpu import process_seconds
from bench.line.environment import BenchEnvironment
from bench.line.flow import RunningLine, flowing
from bench.line.report import Section, percentile
from steadyline.ops.alerts_client import AlertsClient, AlertsUnavailable
from steadyline.own_line.services import Service, first_token
from steadyline.servers.ports import free_ports

SECONDS = 20.0
PARTS = (0.5, 0.1)
# One frame in fifty is anomalous, as where a threshold keeps what it promises.
PATTERN = (0.04, *(0.9 for _ in range(49)))
CAUGHT_UP_SECONDS = 2.5
CATCH_UP_LIMIT = 40.0  # seconds
ROUNDS = 100  # of the pattern, for each camera
WARM = 2000  # scores that a process takes before they count
WITHIN = 300.0


def measure(
    environment: BenchEnvironment, pictures: Sequence[bytes], line_rate: float, say: Callable[[str], None]
) -> Section:
    """Measure at parts of ``line_rate`` frames a second, and then as fast as one process can."""
    rows: list[list[str]] = []
    figures: dict[str, Any] = {}
    for part in PARTS:
        rate = part * line_rate
        say(f"{rate:.0f} frames a second for {SECONDS:.0f} s")
        figure = _flow(environment, pictures, rate)
        figures[f"{part:g} of the load"] = figure
        times = [f"{figure[name]:.0f}" for name in ("p50_ms", "p99_ms", "max_ms")]
        costs = [f"{figure['cpu_ms_per_frame'][name]:.2f}" for name in ("alerts", "scorer")]
        rows.append([f"{rate:.0f} a second, {figure['alerts']} alerts", *times, *costs])
    say("as many scores as one process takes")
    figures["throughput"] = taken = _throughput(environment)
    cost = f"{taken['cpu_ms_per_score']:.2f}"
    rows.append([f"{taken['scores_per_second']:.0f} scores a second at most", "", "", "", cost, ""])
    columns = ("", "p50 ms", "p99 ms", "max ms", "alerts ms a score", "scorer ms a frame")
    title = f"6. From capture to the webhook, at half and a tenth of {line_rate:.0f} frames a second"
    return Section("alerts", title, figures, columns, rows)


def _flow(environment: BenchEnvironment, pictures: Sequence[bytes], rate: float) -> dict[str, Any]:
    with endpoint("healthy") as one, flowing(environment, f"alerts-{rate:.0f}", pictures, rate) as flow:
        alerts = _subscribed(flow, one.url)
        flow.line.wait(lambda: len(one.arrivals) > 0)
        _let_catch_up(flow, one, rate)
        account, scored, begun = _account(environment, flow, alerts), flow.line.committed(), len(one.arrivals)
        time.sleep(SECONDS)
        used = account.close(flow.line.committed() - scored)
        found = [arrival for arrival in one.arrivals[begun:] if arrival.alert.change == "opened"]
        flow.drain()
    values = [1000 * (arrival.at - arrival.alert.at).total_seconds() for arrival in found]
    return {
        "frames_per_second": round(rate, 1),
        "alerts": len(values),
        "p50_ms": round(percentile(values, 0.50), 1),
        "p99_ms": round(percentile(values, 0.99), 1),
        "max_ms": round(max(values), 1),
        "cpu_ms_per_frame": {name: round(value, 3) for name, value in used.ms.items()},
        "strangers_cores": round(used.strangers, 2),
    }


def _let_catch_up(flow: RunningLine, endpoint: BenchEndpoint, rate: float) -> None:
    """Wait until what had waited for the process has come, or for as long as it may take.

    A process that does not catch up at this load is measured as it is. It commits to its group once a second.
    """
    end = time.monotonic() + CATCH_UP_LIMIT
    while time.monotonic() < end:
        if flow.line.untold() <= CAUGHT_UP_SECONDS * rate and _behind(endpoint) <= CAUGHT_UP_SECONDS:
            break
        time.sleep(0.5)
    time.sleep(2)


def _behind(endpoint: BenchEndpoint) -> float:
    """Return how long the newest alert took to arrive, in seconds."""
    newest = endpoint.arrivals[-1]
    return (newest.at - newest.alert.at).total_seconds()


def _account(environment: BenchEnvironment, flow: RunningLine, alerts: Service) -> CpuAccount:
    return CpuAccount(environment, scorer=flow.scorer, producers=flow.producers, alerts=alerts)


def _subscribed(flow: RunningLine, url: str) -> Service:
    """Start an alerts process on the line and subscribe the endpoint to it."""
    port = free_ports(1)[0]
    settings = {
        "ALERTS_DATABASE": f"sqlite:///{flow.line.home / 'alerts.db'}",
        "ALERTS_API_PORT": str(port),
        "ALERTS_ALLOW_PRIVATE_ADDRESSES": "true",
    }
    client = AlertsClient(f"http://127.0.0.1:{port}", first_token(settings))
    service = flow.line.start("alerts", "run", **settings)

    def subscribe() -> bool:
        order = {"name": "bench", "channel": {"kind": "webhook", "url": url}}
        try:
            client.post("subscriptions", body=order)
        except AlertsUnavailable:
            return False
        return True

    flow.line.wait(subscribe)
    return service


def _throughput(environment: BenchEnvironment) -> dict[str, Any]:
    """Let one process take what waits for it, with one subscriber."""
    with AlertsRig(environment.home / "alerts-throughput", environment.stack) as rig, endpoint("one") as one:
        whole = rig.send(ROUNDS, PATTERN)
        process = rig.start("one")
        rig.subscribe(process, [one])
        rig.wait(lambda: process.taken() >= WARM, WITHIN)
        taken, used, began = process.taken(), process_seconds(process.service.pid), time.monotonic()
        rig.wait(lambda: process.taken() >= whole, WITHIN)
        seconds, used = time.monotonic() - began, process_seconds(process.service.pid) - used
    return {
        "scores": whole - taken,
        "cameras": len(CAMERAS),
        "scores_per_second": round((whole - taken) / seconds, 1),
        "cpu_ms_per_score": round(1000 * used / (whole - taken), 3),
    }
