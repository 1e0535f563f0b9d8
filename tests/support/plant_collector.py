"""A real OpenTelemetry Collector with the configuration of the plant, on free ports of loopback."""

import os
import re
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from steadyline.child_process import ChildCommand, ChildProcess
from steadyline.servers.ports import free_ports
from tests.packaging.rules import ROOT
from tests.support.eventually import eventually
from tools.collector import program

FOLDER = ROOT / "deploy" / "collector"
READY_WITHIN = 60.0


def otelcol() -> str:
    """Return the program; skip loudly where nobody has built it: set-up does not bring it."""
    found = program()
    if not found.exists():
        pytest.skip("the collector is not built: run `make collector`")
    return str(found)


def validate(*files: Path, **variables: str) -> tuple[int, str]:
    """Let the collector check configurations; return its exit status and what it says."""
    command = [otelcol(), "validate", *(f"--config={path}" for path in files)]
    environment = {**os.environ, **variables}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr


@dataclass(frozen=True, slots=True)
class PlantCollector:
    """Where services push to, and the page that Prometheus scrapes."""

    url: str
    metrics_port: int

    def series(self, name: str, **labels: str) -> float:
        """Return the sum of a metric's series that have these labels; 0 while there is none."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        wanted = [f'{key}="{value}"' for key, value in labels.items()]
        rows = [line for line in lines if re.match(rf"{name}[{{ ]", line)]
        return sum(float(row.rsplit(" ", 1)[1]) for row in rows if all(item in row for item in wanted))


@contextmanager
def plant_collector(log: Path, backend: str) -> Iterator[PlantCollector]:
    """Yield a collector that hands traces on to ``backend``, an OTLP/HTTP address."""
    command = [otelcol(), f"--config={FOLDER / 'config.yaml'}"]
    grpc, http, metrics, health = free_ports(4)
    variables = {
        "COLLECTOR_GRPC_PORT": str(grpc),
        "COLLECTOR_HTTP_PORT": str(http),
        "COLLECTOR_METRICS_PORT": str(metrics),
        "COLLECTOR_HEALTH_PORT": str(health),
        "COLLECTOR_BATCH_TIME": "200ms",
        "COLLECTOR_BACKEND": backend,
        "COLLECTOR_BACKEND_COMPRESSION": "none",
    }
    child = ChildProcess(
        ChildCommand(command, log=log, environment={**os.environ, **variables}, own_session=False)
    )
    try:
        eventually(lambda: _answers(health), READY_WITHIN, "the collector is healthy")
        yield PlantCollector(f"http://127.0.0.1:{http}", metrics)
    finally:
        child.stop(10)


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer:
            return int(answer.status) == 200
    except OSError:
        return False
