"""A collector that takes connections and never answers must not hold a process that is to end."""

import socket
import time
from collections.abc import Iterator

import pytest
from pydantic import SecretStr

from steadyline.kafka.metrics import HELD
from steadyline.settings import TelemetrySettings
from steadyline.telemetry.export import start_metrics
from steadyline.telemetry.tracing import EXPORT_SECONDS, configure_tracing, start_span, stop_tracing


@pytest.fixture
def silent() -> Iterator[TelemetrySettings]:
    """Settings that point to it."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(16)
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        yield TelemetrySettings(otel_exporter_otlp_endpoint=SecretStr(address))


def test_a_full_queue_of_spans_is_given_up_after_a_few_seconds(silent: TelemetrySettings) -> None:
    configure_tracing("test", silent)
    for _ in range(2000):  # four batches, 5 s each
        start_span("capture").end()
    began = time.monotonic()
    stop_tracing()
    assert time.monotonic() - began < EXPORT_SECONDS + 2


def test_the_last_push_of_metrics_is_given_up_after_a_few_seconds(silent: TelemetrySettings) -> None:
    metrics = start_metrics("test", silent)
    HELD.add(1, reason="backpressure")
    began = time.monotonic()
    metrics.stop()
    assert time.monotonic() - began < EXPORT_SECONDS + 2
    HELD.add(1, reason="backpressure")  # free of cost again
