"""``python -m scorer run|config``."""

import threading
from collections.abc import Sequence

from scorer.app import ScorerDependencies, build
from scorer.config import ScorerSettings
from steadyline.clock import SystemClock
from steadyline.kafka.client import KafkaBroker
from steadyline.line import load_line
from steadyline.service import LineFile, config_command, run_service, service_application
from steadyline.service import run as run_application
from steadyline.settings import KafkaSettings, TelemetrySettings, TritonSettings, read_settings
from steadyline.telemetry.health import ServiceHealth

app = service_application(
    "scorer", "Scores every frame of a line exactly once; start more of them to score more frames."
)


@app.command()
def run(line: LineFile) -> None:
    """Score frames until a signal comes; then finish and commit what is in hand."""
    clock = SystemClock()
    dependencies = ScorerDependencies(
        load_line(line), read_settings(ScorerSettings), read_settings(TritonSettings), clock
    )
    kafka, reporting = read_settings(KafkaSettings), read_settings(TelemetrySettings)

    def serve(stop: threading.Event, health: ServiceHealth) -> None:
        broker = KafkaBroker(kafka, f"scorer-{dependencies.settings.instance}")
        try:
            with build(dependencies, broker, health) as scorer:
                scorer.run(stop)
        finally:
            broker.close()

    run_service("scorer", reporting, clock, serve)


app.command()(config_command(ScorerSettings, KafkaSettings, TritonSettings, TelemetrySettings))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    return run_application(app, argv)
