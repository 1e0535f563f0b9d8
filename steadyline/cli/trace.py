"""``steadyline trace``: the whole story of one frame, from the topics alone."""

import json
from pathlib import Path
from typing import Annotated

import typer

from steadyline.contracts.frame import FrameId
from steadyline.errors import InvalidConfiguration, MalformedHeaders
from steadyline.kafka.client import KafkaBroker
from steadyline.line import load_line
from steadyline.ops.trace.follow import follow
from steadyline.ops.trace.report import as_json as to_json
from steadyline.ops.trace.report import show
from steadyline.service import EXIT_FAILED, LineFile
from steadyline.settings import KafkaSettings, read_settings
from steadyline.terminal import PlainConsole


def command(
    frame: Annotated[str, typer.Argument(help="Id of the frame: camera/epoch/sequence.")],
    line: LineFile = Path("line.yaml"),
    group: Annotated[
        str | None, typer.Option("--group", help="Consumer group of the scorers; by default <prefix>.scorer.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Tell what became of one frame: captured, published, scored, dropped, refused, replayed, or waiting.

    Reads the topics since the frame's epoch began. Exit status 1 when nothing is known of the frame, or when
    it is lost or has more than one fate.
    """
    identity = _parsed(frame)
    config = load_line(line)
    topics = config.kafka_topics()
    broker = KafkaBroker(read_settings(KafkaSettings), "steadyline-trace")
    try:
        timeline = follow(broker, topics, group or f"{config.topics.prefix}.scorer", identity)
    finally:
        broker.close()
    if as_json:
        print(json.dumps(to_json(timeline, topics), indent=2))
    else:
        show(timeline, topics, PlainConsole(soft_wrap=True))
    if not timeline.is_sound:
        raise typer.Exit(EXIT_FAILED)


def _parsed(text: str) -> FrameId:
    try:
        return FrameId.parse(text)
    except MalformedHeaders as error:
        raise InvalidConfiguration(str(error)) from error
