"""Set up logs, traces, metrics and health of one process together."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from steadyline.clock import Clock
from steadyline.settings import TelemetrySettings
from steadyline.telemetry.export import start_metrics
from steadyline.telemetry.health import HealthServer, ServiceHealth
from steadyline.telemetry.logs import configure_logs, get_logger
from steadyline.telemetry.tracing import configure_tracing, stop_tracing


@contextmanager
def telemetry(service: str, settings: TelemetrySettings, clock: Clock) -> Iterator[ServiceHealth]:
    """Set up logs, traces, metrics and the health server; flush them at the end.

    Import the service's metrics first: a metric that is declared later is not exported.
    """
    configure_logs(service, settings)
    with ExitStack() as stack:
        configure_tracing(service, settings)
        stack.callback(stop_tracing)
        metrics = start_metrics(service, settings)
        stack.callback(metrics.stop)
        health = ServiceHealth(clock)
        host, port = settings.steadyline_health_host, settings.steadyline_health_port
        server = HealthServer(host, port, health, metrics.text)
        stack.callback(server.close)
        get_logger(__name__).info("health_server_started", host=host, port=server.port)
        yield health
