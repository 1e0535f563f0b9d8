"""What ``/livez`` and ``/readyz`` say is on ``/metrics`` too, as it is when it is asked for."""

import urllib.request
from collections.abc import Iterator
from datetime import timedelta

import pytest

from steadyline.clock import ManualClock
from steadyline.settings import TelemetrySettings
from steadyline.telemetry.export import start_metrics
from steadyline.telemetry.health import HealthServer, ServiceHealth


class ServedHealth:
    """The health of a process and its pages on a free port, with a clock that stands."""

    def __init__(self, pages: HealthServer, health: ServiceHealth, clock: ManualClock) -> None:
        self.pages, self.health, self.clock = pages, health, clock

    def series(self, name: str) -> dict[str, str]:
        """Return labels → value of a metric on ``/metrics``."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.pages.port}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        rows = [line.removeprefix(name).rsplit(" ", 1) for line in lines if line.startswith(name)]
        return {labels.strip(): value for labels, value in rows}


@pytest.fixture
def served() -> Iterator[ServedHealth]:
    running = start_metrics("test", TelemetrySettings())
    clock = ManualClock()
    health = ServiceHealth(clock)
    pages = HealthServer("127.0.0.1", 0, health, running.text)
    yield ServedHealth(pages, health, clock)
    pages.close()
    running.stop()


def test_each_part_is_ready_or_not(served: ServedHealth) -> None:
    served.health.set_ready("broker", True)
    served.health.set_ready("model:cell", False, "no_live_model")
    parts = served.series("health_part_ready_info")
    assert parts == {'{part="broker"}': "1.0", '{part="model:cell"}': "0.0"}
    served.health.set_ready("model:cell", True)
    assert set(served.series("health_part_ready_info").values()) == {"1.0"}


def test_a_task_that_falls_silent_is_seen_by_the_next_scrape(served: ServedHealth) -> None:
    served.health.beat("writer", timedelta(seconds=5))
    assert served.series("health_live_info") == {"": "1.0"}
    served.clock.advance(timedelta(seconds=6))
    assert served.series("health_live_info") == {"": "0.0"}
    served.health.beat("writer", timedelta(seconds=5))
    assert served.series("health_live_info") == {"": "1.0"}
