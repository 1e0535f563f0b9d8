"""``python -m producers run|config``."""

import threading
from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated

import typer

from producers.app import ProducersDependencies, build
from producers.config import ProducersSettings
from steadyline.clock import SystemClock
from steadyline.kafka.client.broker import KafkaBroker
from steadyline.line import load_line
from steadyline.service import LineFile, config_command, run_service, service_application
from steadyline.service import run as run_application
from steadyline.settings import KafkaSettings, TelemetrySettings, read_settings
from steadyline.telemetry.certificates import certificate_files, watched_certificates
from steadyline.telemetry.health import ServiceHealth

app = service_application(
    "producers", "Captures and publishes frames of one or many cameras, and counts what became of each."
)

Cameras = Annotated[
    list[str] | None,
    typer.Option("--camera", help="Camera to run; repeatable; by default all cameras of the line."),
]


@app.command()
def run(line: LineFile, camera: Cameras = None) -> None:
    """Run the cameras of a line until they end or a signal comes; then publish the final counts."""
    settings = read_settings(ProducersSettings)
    kafka, reporting = read_settings(KafkaSettings), read_settings(TelemetrySettings)
    clock = SystemClock()
    dependencies = ProducersDependencies(load_line(line), line.resolve().parent, settings, clock)
    files = certificate_files(kafka, reporting)

    def serve(stop: threading.Event, health: ServiceHealth) -> None:
        broker = KafkaBroker(kafka, "producers")
        try:
            with watched_certificates(files), build(dependencies, camera or [], broker, health) as producers:
                producers.run(stop)
        finally:
            broker.close()

    run_service("producers", reporting, clock, serve, timedelta(seconds=settings.stop_seconds))


app.command()(config_command(ProducersSettings, KafkaSettings, TelemetrySettings))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    return run_application(app, argv)
