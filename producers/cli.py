"""``python -m producers run|draw|config``."""

import threading
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import track

from producers.app import ProducersDependencies, build
from producers.config import ProducersSettings
from producers.sources.address import SyntheticOptions
from producers.sources.drawn_set import DrawnCounts, write_drawn_set
from steadyline.clock import SystemClock
from steadyline.kafka.client.broker import KafkaBroker
from steadyline.line import load_line
from steadyline.service import LineFile, config_command, run_service, service_application
from steadyline.service import run as run_application
from steadyline.settings import KafkaSettings, TelemetrySettings, read_settings
from steadyline.telemetry.certificates import certificate_files, watched_certificates
from steadyline.telemetry.health import ServiceHealth
from steadyline.terminal import PlainConsole

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


@app.command()
def draw(
    out: Annotated[Path, typer.Option(help="New folder to write the pictures to.")],
    train_good: Annotated[int, typer.Option(min=1, help="Good parts to train on, by default 200.")] = 200,
    test_good: Annotated[int, typer.Option(min=0, help="Good parts to test with, by default 40.")] = 40,
    defective: Annotated[int, typer.Option(min=0, help="Defective parts to test with, by default 40.")] = 40,
    size: Annotated[
        int, typer.Option(min=16, max=4096, help="Height and width in pixels, by default 256.")
    ] = 256,
    seed: Annotated[int, typer.Option(min=0, help="Another seed draws another part, by default 0.")] = 0,
) -> None:
    """Write the parts of a synthetic camera, good and defective, as a folder for training and demonstration.

    The pictures are drawn and nobody's property; masks say where each defect is.
    """
    counts = DrawnCounts(train_good, test_good, defective)
    console = PlainConsole(soft_wrap=True)
    written = write_drawn_set(out, SyntheticOptions(seed=seed, size=size), counts)
    for _ in track(written, "pictures", counts.pictures, console=console, disable=not console.is_terminal):
        pass
    console.print(
        f"{out}: {train_good} normals to train on, {test_good} good and {defective} defective to test on"
    )
    console.print(f"a camera that shows the same part: synthetic:?size={size}&seed={seed}")


app.command()(config_command(ProducersSettings, KafkaSettings, TelemetrySettings))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    return run_application(app, argv)
