"""``steadyline doctor``: is everything as it must be, and what to do where it is not."""

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from steadyline.bank.redis import RedisBank
from steadyline.cli.findings import conclude
from steadyline.cli.servers import STATE, server_settings
from steadyline.clock import SystemClock
from steadyline.kafka.client.broker import KafkaBroker
from steadyline.line import load_line
from steadyline.ops.doctor.examine import DoctorDependencies, examine
from steadyline.settings import SigningSettings, TelemetrySettings, read_settings
from steadyline.telemetry.certificates import certificate_files
from steadyline.triton import TritonClient


def command(
    line: Annotated[
        Path | None,
        typer.Option(
            "--line",
            envvar="STEADYLINE_LINE",
            help="Path of the line file; by default line.yaml, if there is one.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Write no probe to Kafka or to the store.")
    ] = False,
    stack: Annotated[
        Path,
        typer.Option(help="File in which `steadyline up` wrote addresses; used where no variable names one."),
    ] = STATE,
) -> None:
    """Check certificates, servers, topics, clocks, models, banks, store; exit status 1 when a check fails.

    Without a line file only the servers are checked (line.yaml in this folder is taken when it is there).
    A small message goes to the topic <prefix>.doctor.v1, where the broker stamps it with its own time.
    """
    path = line or (Path("line.yaml") if Path("line.yaml").exists() else None)
    config = load_line(path) if path is not None else None
    kafka, redis, triton = server_settings(stack)
    with ExitStack() as cleanup:
        broker, bank, client = (
            KafkaBroker(kafka, "steadyline-doctor"),
            RedisBank(redis, config.line if config else ""),
            TritonClient(triton),
        )
        for part in (broker, bank, client):
            cleanup.callback(part.close)
        has_key = triton.admin_key is not None
        report = examine(
            DoctorDependencies(
                broker,
                bank,
                client,
                has_key,
                SystemClock(),
                config,
                read_settings(SigningSettings),
                may_write=not read_only,
                certificates=certificate_files(kafka, redis, triton, read_settings(TelemetrySettings)),
            )
        )
    conclude(report, as_json)
