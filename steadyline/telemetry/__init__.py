"""Logs, traces, metrics and health of one process, set up together."""

from collections.abc import Iterator
from contextlib import contextmanager

from steadyline.clock import Clock
from steadyline.settings import TelemetrySettings
from steadyline.telemetry.export import start_metrics, stop_metrics
from steadyline.telemetry.health import Health, HealthServer
from steadyline.telemetry.logs import configure_logs, get_logger
from steadyline.telemetry.tracing import configure_tracing, stop_tracing


@contextmanager
def telemetry(service: str, settings: TelemetrySettings, clock: Clock) -> Iterator[Health]:
    """Set up logs, traces, metrics and the health server; flush them at the end.

    Import the service's metrics before: what is declared later is not exported.
    """
    configure_logs(service, settings)
    configure_tracing(service, settings)
    provider = start_metrics(service, settings)
    health = Health(clock)
    server = HealthServer(settings.steadyline_health_host, settings.steadyline_health_port, health)
    get_logger(__name__).info("health_server_started", port=server.port)
    try:
        yield health
    finally:
        server.close()
        stop_metrics(provider)
        stop_tracing()
