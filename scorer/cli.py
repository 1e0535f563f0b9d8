"""``python -m scorer run|config``."""

import threading
from collections.abc import Sequence
from datetime import timedelta

from scorer.app import ScorerDependencies, build
from scorer.config import ScorerSettings
from steadyline.clock import SystemClock
from steadyline.kafka.client.broker import KafkaBroker
from steadyline.kafka.model_events import read_seal
from steadyline.line import load_line
from steadyline.service import LineFile, config_command, run_service, service_application
from steadyline.service import run as run_application
from steadyline.settings import (
    KafkaSettings,
    SigningSettings,
    TelemetrySettings,
    TritonSettings,
    read_settings,
)
from steadyline.telemetry.certificates import certificate_files, watched_certificates
from steadyline.telemetry.health import ServiceHealth

app = service_application(
    "scorer", "Scores every frame of a line exactly once; start more of them to score more frames."
)


@app.command()
def run(line: LineFile) -> None:
    """Score frames until a signal comes; then finish and commit what is in hand."""
    clock = SystemClock()
    config = load_line(line)
    seal = read_seal(config.line, read_settings(SigningSettings))
    dependencies = ScorerDependencies(
        config, read_settings(ScorerSettings), read_settings(TritonSettings), seal, clock
    )
    kafka, reporting = read_settings(KafkaSettings), read_settings(TelemetrySettings)
    files = certificate_files(kafka, dependencies.triton, reporting)

    def serve(stop: threading.Event, health: ServiceHealth) -> None:
        broker = KafkaBroker(kafka, f"scorer-{dependencies.settings.instance}")
        try:
            with watched_certificates(files), build(dependencies, broker, health) as scorer:
                scorer.run(stop)
        finally:
            broker.close()

    stop_within = timedelta(seconds=dependencies.settings.stop_seconds)
    run_service("scorer", reporting, clock, serve, stop_within)


app.command()(
    config_command(ScorerSettings, KafkaSettings, TritonSettings, SigningSettings, TelemetrySettings)
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    return run_application(app, argv)
