"""``python -m scorer run|config``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from scorer.app import ScorerDependencies, build
from scorer.config import ScorerSettings
from steadyline.clock import SystemClock
from steadyline.errors import SteadylineError
from steadyline.kafka.client import KafkaBroker
from steadyline.line import load_line
from steadyline.service import EXIT_BUG, stop_on_signals
from steadyline.service import run as run_application
from steadyline.settings import KafkaSettings, TelemetrySettings, TritonSettings, read_settings
from steadyline.telemetry import telemetry
from steadyline.telemetry.logs import get_logger

log = get_logger(__name__)

app = typer.Typer(
    name="scorer",
    help="Scores every frame of a line exactly once: a worker of a consumer group; scale by adding.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

LineFile = Annotated[Path, typer.Option("--line", envvar="STEADYLINE_LINE", help="The line file.")]


@app.command()
def run(line: LineFile) -> None:
    """Score frames until a signal comes; exits 0 with everything in hand committed."""
    clock = SystemClock()
    dependencies = ScorerDependencies(
        load_line(line), read_settings(ScorerSettings), read_settings(TritonSettings), clock
    )
    kafka, reporting = read_settings(KafkaSettings), read_settings(TelemetrySettings)
    with stop_on_signals() as stop, telemetry("scorer", reporting, clock) as health:
        broker = KafkaBroker(kafka, f"scorer-{dependencies.settings.instance}")
        try:
            with build(dependencies, broker, health) as scorer:
                scorer.run(stop)
        except SteadylineError as error:
            log.error("scorer_ended", reason=error.reason, error=str(error))
            raise
        except Exception as error:  # the outermost loop: what is not foreseen is a bug, logged with its stack
            log.exception("bug", error=str(error))
            raise typer.Exit(EXIT_BUG) from error
        finally:
            broker.close()


@app.command()
def config() -> None:
    """Print the effective settings, secrets hidden."""
    console = Console(highlight=False, soft_wrap=True)
    for settings in (
        read_settings(ScorerSettings),
        read_settings(KafkaSettings),
        read_settings(TritonSettings),
        read_settings(TelemetrySettings),
    ):
        prefix = str(settings.model_config.get("env_prefix", ""))
        for name, value in settings:
            console.print(f"{prefix}{name}".upper() + f"={value}", markup=False)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    return run_application(app, argv)
