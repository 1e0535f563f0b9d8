"""``steadyline trace``: the whole story of one frame, from the topics, and of its alerts from their API."""

import json
from pathlib import Path
from typing import Annotated

import typer

from steadyline.contracts.frame import FrameId
from steadyline.errors import InvalidConfiguration, MalformedHeaders
from steadyline.kafka.client.broker import KafkaBroker
from steadyline.line import load_line
from steadyline.ops.alerts_client import AlertsClient, AlertsRefused, AlertsUnavailable
from steadyline.ops.trace.follow import follow
from steadyline.ops.trace.incidents import ask_deliveries
from steadyline.ops.trace.report import as_json as to_json
from steadyline.ops.trace.report import show
from steadyline.ops.trace.timeline import FrameTimeline
from steadyline.service import EXIT_FAILED, LineFile
from steadyline.settings import AlertsClientSettings, KafkaSettings, read_settings
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

    Reads the topics since the frame's epoch began. Of an anomalous frame it also tells the incident, and what
    became of its deliveries where STEADYLINE_ALERTS_URL and STEADYLINE_ALERTS_TOKEN lead to the API. Exit
    status 1 when nothing is known of the frame, or when it is lost or has more than one fate.
    """
    identity = _parsed(frame)
    config = load_line(line)
    topics = config.kafka_topics()
    broker = KafkaBroker(read_settings(KafkaSettings), "steadyline-trace")
    try:
        timeline = follow(broker, topics, group or f"{config.topics.prefix}.scorer", identity)
    finally:
        broker.close()
    _ask_deliveries(timeline)
    if as_json:
        print(json.dumps(to_json(timeline, topics), indent=2))
    else:
        show(timeline, topics, PlainConsole(soft_wrap=True))
    if not timeline.is_sound:
        raise typer.Exit(EXIT_FAILED)


def _ask_deliveries(timeline: FrameTimeline) -> None:
    """Ask the API what became of the deliveries, or note why it could not be asked."""
    if not timeline.incidents:
        return
    settings = read_settings(AlertsClientSettings)
    if settings.token is None:
        timeline.deliveries_unknown = "STEADYLINE_ALERTS_TOKEN holds no token of the alerts' API"
        return
    try:
        ask_deliveries(timeline.incidents, AlertsClient(settings.url, settings.token.get_secret_value()))
    except (AlertsRefused, AlertsUnavailable) as error:
        timeline.deliveries_unknown = str(error)


def _parsed(text: str) -> FrameId:
    try:
        return FrameId.parse(text)
    except MalformedHeaders as error:
        raise InvalidConfiguration(str(error)) from error
