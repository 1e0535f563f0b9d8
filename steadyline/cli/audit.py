"""``steadyline audit``: proves from the topics alone that every captured frame is accounted for."""

import json
from pathlib import Path
from typing import Annotated

import typer

from steadyline.cli.since import moment
from steadyline.errors import InvalidConfiguration
from steadyline.kafka.client.broker import KafkaBroker
from steadyline.line import Line, load_line
from steadyline.ops.audit.gather import Scope, gather
from steadyline.ops.audit.report import Audit
from steadyline.service import EXIT_FAILED, LineFile
from steadyline.settings import KafkaSettings, read_settings
from steadyline.terminal import PlainConsole

NAMED, NAMED_OF_ALL = 20, 100_000


def command(
    line: LineFile = Path("line.yaml"),
    camera: Annotated[
        str | None, typer.Option("--camera", help="Camera to audit; by default all cameras.")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            "--since", help="Age of the oldest epochs (runs of a camera), as 24h; by default any age."
        ),
    ] = None,
    group: Annotated[
        str | None, typer.Option("--group", help="Consumer group of the scorers; by default <prefix>.scorer.")
    ] = None,
    show_all: Annotated[
        bool,
        typer.Option(
            "--all", help=f"Name up to {NAMED_OF_ALL} faulty frames of each kind, not only {NAMED}."
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Prove that every captured frame was scored, dropped, dead-lettered or is on its way.

    Reads camera-status, scores, dead-letters and the end of frames; exit status 1 when a frame is missing,
    doubled or out of order.
    """
    config = load_line(line)
    scope = Scope(group or f"{config.topics.prefix}.scorer", _known(config, camera), moment(since))
    broker = KafkaBroker(read_settings(KafkaSettings), "steadyline-audit")
    try:
        audit = Audit.of(gather(broker, config.kafka_topics(), scope))
    finally:
        broker.close()
    most = NAMED_OF_ALL if show_all else NAMED
    if as_json:
        print(json.dumps(audit.as_json(most), indent=2))
    else:
        audit.show(PlainConsole(soft_wrap=True), most)
    if not audit.is_intact:
        raise typer.Exit(EXIT_FAILED)


def _known(config: Line, camera: str | None) -> str | None:
    known = [item.id for item in config.cameras]
    if camera is not None and known and camera not in known:
        raise InvalidConfiguration(f"the line has no camera {camera!r}; it has {', '.join(known)}")
    return camera
