"""``steadyline topics``: make a line's topics, and compare those that are there with the registry."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from steadyline.cli.findings import conclude
from steadyline.cli.servers import STATE, server_settings
from steadyline.contracts.topics import Topics
from steadyline.kafka.broker import Broker
from steadyline.kafka.client.broker import KafkaBroker
from steadyline.line import load_line
from steadyline.ops.doctor.finding import Report
from steadyline.ops.doctor.topics import look_at_topics
from steadyline.service import LineFile
from steadyline.terminal import PlainConsole

app = typer.Typer(help="The topics of a line: create them, check them.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Mend = Annotated[
    bool,
    typer.Option(
        "--mend",
        help="Also give the topics that are there the registry's settings, and more partitions where they "
        "have fewer than the line file says; by default they are left as they are.",
    ),
]
Stack = Annotated[
    Path,
    typer.Option(help="File in which `steadyline up` wrote addresses; used where no variable names one."),
]


@app.command()
def create(
    line: LineFile = Path("line.yaml"), mend: Mend = False, as_json: AsJson = False, stack: Stack = STATE
) -> None:
    """Create the topics that are missing; what is there already is left as it is, unless --mend, and checked.

    Exit status 1 when a topic that was there has other partitions or settings than the registry's.
    """
    report = Report()
    with _topics_of(line, stack) as (topics, broker):
        created = broker.create_topics(list(topics))
        mended = broker.mend_topics(list(topics)) if mend else []
        look_at_topics(topics, broker, report)
    if not as_json:
        console = PlainConsole(soft_wrap=True)
        for done, names in (("created", created), ("mended", mended)):
            for name in names:
                console.print(f"{done} {name}")
    conclude(report, as_json, created=created, mended=mended)


@app.command()
def check(line: LineFile = Path("line.yaml"), as_json: AsJson = False, stack: Stack = STATE) -> None:
    """Compare partitions, clean-up, retention and size limits with the registry.

    Exit status 1 on a difference.
    """
    report = Report()
    with _topics_of(line, stack) as (topics, broker):
        look_at_topics(topics, broker, report)
    conclude(report, as_json)


@contextmanager
def _topics_of(line: Path, stack: Path) -> Iterator[tuple[Topics, Broker]]:
    topics = load_line(line).kafka_topics()
    kafka, _, _ = server_settings(stack)
    broker = KafkaBroker(kafka, "steadyline-topics")
    try:
        yield topics, broker
    finally:
        broker.close()
