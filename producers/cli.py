"""``python -m producers run|config``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from producers.app import ProducersDependencies, build
from producers.config import ProducersSettings
from steadyline.clock import SystemClock
from steadyline.kafka.client import KafkaBroker
from steadyline.line import load_line
from steadyline.service import run as run_application
from steadyline.service import stop_on_signals
from steadyline.settings import KafkaSettings, TelemetrySettings, read_settings
from steadyline.telemetry import telemetry

app = typer.Typer(
    name="producers",
    help="Captures frames of one or many cameras and publishes them, each accounted for.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

LineFile = Annotated[Path, typer.Option("--line", envvar="STEADYLINE_LINE", help="The line file.")]
Cameras = Annotated[
    list[str] | None, typer.Option("--camera", help="Run this camera only; may be given more than once.")
]


@app.command()
def run(line: LineFile, camera: Cameras = None) -> None:
    """Run the cameras of a line until they end or a signal comes; exits 0 with every account closed."""
    settings = read_settings(ProducersSettings)
    kafka, reporting = read_settings(KafkaSettings), read_settings(TelemetrySettings)
    clock = SystemClock()
    dependencies = ProducersDependencies(load_line(line), line.resolve().parent, settings, clock)
    with stop_on_signals() as stop, telemetry("producers", reporting, clock) as health:
        broker = KafkaBroker(kafka, "producers")
        try:
            with build(dependencies, camera or [], broker, health) as producers:
                producers.run(stop)
        finally:
            broker.close()


@app.command()
def config() -> None:
    """Print the effective settings, secrets hidden."""
    console = Console(highlight=False, soft_wrap=True)
    for settings in (
        read_settings(ProducersSettings),
        read_settings(KafkaSettings),
        read_settings(TelemetrySettings),
    ):
        prefix = str(settings.model_config.get("env_prefix", ""))
        for name, value in settings:
            console.print(f"{prefix}{name}".upper() + f"={value}", markup=False)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    return run_application(app, argv)
