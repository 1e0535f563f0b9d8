"""Accounts for the CPU used between two moments by the servers, the services, this process and strangers."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

from bench.line.cpu import machine_seconds, process_seconds
from bench.line.environment import BenchEnvironment
from steadyline.own_line.services import Service


@dataclass(frozen=True, slots=True)
class CpuUse:
    """CPU milliseconds per frame by process, and how many cores strangers used."""

    ms: dict[str, float]
    strangers: float


class CpuAccount:
    """Counts the CPU that is used from the moment it is made."""

    def __init__(self, environment: BenchEnvironment, **services: Service) -> None:
        self._ground, self._services = environment, services
        self._began, self._machine, self._before = time.monotonic(), machine_seconds(), self._now()

    def close(self, frames: int) -> CpuUse:
        """Return the CPU used since then, per frame of ``frames``."""
        seconds = {name: now - self._before[name] for name, now in self._now().items()}
        busy, took = machine_seconds() - self._machine, time.monotonic() - self._began
        ms = {name: 1000 * value / frames for name, value in seconds.items()}
        return CpuUse(ms, max(0.0, busy - sum(seconds.values())) / took)

    def _now(self) -> Mapping[str, float]:
        services = {name: process_seconds(service.pid) for name, service in self._services.items()}
        return {**self._ground.servers_cpu(), **services, "bench": time.process_time()}
