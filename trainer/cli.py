"""``python -m trainer run|fit|evaluate|bank|config``; ``job`` is what ``run`` starts for each training."""

from pathlib import Path
from typing import Annotated

import typer

from steadyline.clock import SystemClock
from steadyline.lifecycle import stop_on_signals
from steadyline.line import load_line
from steadyline.settings import (
    KafkaSettings,
    RedisSettings,
    TelemetrySettings,
    TritonSettings,
    read_settings,
)
from steadyline.telemetry import telemetry
from trainer.config import TrainerSettings

app = typer.Typer(
    name="trainer",
    help="Trains, proves and swaps in the models of a line; fits and evaluates on a folder without a server.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
bank = typer.Typer(help="The banks of pseudo-anomalies in Redis.", no_args_is_help=True)
app.add_typer(bank, name="bank")

LineFile = Annotated[Path, typer.Option("--line", envvar="STEADYLINE_LINE", help="The line file.")]
Data = Annotated[Path, typer.Option("--data", help="A folder in MVTec layout (train/good, test/…).")]


@app.command()
def run(line: LineFile) -> None:
    """Serve a line until a signal comes: train, gate, swap in, watch."""
    from trainer.app import Surroundings, build

    around = Surroundings(
        load_line(line),
        line.resolve(),
        read_settings(TrainerSettings),
        read_settings(KafkaSettings),
        read_settings(RedisSettings),
        read_settings(TritonSettings),
        SystemClock(),
    )
    reporting = read_settings(TelemetrySettings)
    with (
        stop_on_signals() as stop,
        telemetry("trainer", reporting, around.clock) as health,
        build(around, health) as trainer,
    ):
        trainer.run(stop)
