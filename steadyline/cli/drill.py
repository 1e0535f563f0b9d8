"""``steadyline drill``: attacks on a running line, on its own topics, and what held."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from steadyline.cli.findings import conclude
from steadyline.clock import SystemClock
from steadyline.errors import InvalidConfiguration
from steadyline.kafka.broker import Broker
from steadyline.kafka.client.broker import KafkaBroker
from steadyline.line import Line, load_line
from steadyline.ops.drill.attacks import MOST_FLOOD, STRANGER, DrillTarget, flood, poison
from steadyline.ops.drill.blinding import try_blinding
from steadyline.ops.drill.refusals import try_frames
from steadyline.service import LineFile
from steadyline.settings import KafkaSettings, read_settings

app = typer.Typer(help="Attack a running line on its own topics, and say what held.", no_args_is_help=True)

Yes = Annotated[bool, typer.Option("--yes", help="Do not ask whether to begin; by default the drill asks.")]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print the result as JSON; by default it is printed for people.")
]


@app.command("poison")
def try_poison(
    line: LineFile = Path("line.yaml"),
    yes: Yes = False,
    as_json: AsJson = False,
    within: Annotated[
        float, typer.Option("--within", help="Longest time to wait for the line, in seconds; by default 30.")
    ] = 30.0,
) -> None:
    """Write frames that lie in every way a writer of frames can; each must become a dead letter.

    Nothing that could be scored is written, so nothing is taught to the line.
    """
    _ask(yes, "some twenty dead letters stay on their topic, each with the header steadyline-drill")
    with _target(line) as (broker, target):
        report = try_frames(broker, target.topics, poison(target), SystemClock(), timedelta(seconds=within))
    conclude(report, as_json, drill="poison", token=target.token)


@app.command("blind")
def try_blind(
    product: Annotated[str, typer.Argument(help="Product whose event is forged.")],
    line: LineFile = Path("line.yaml"),
    yes: Yes = False,
    as_json: AsJson = False,
    within: Annotated[
        float, typer.Option("--within", help="How long each forged event stands, in seconds; by default 10.")
    ] = 10.0,
) -> None:
    """Forge the product's model event with a threshold that nothing passes; no frame may be judged by it.

    A line that believes it is blind for as long as the event stands. Then the true event is written again; a
    drill that is killed leaves that to the trainer.
    """
    _ask(
        yes, f"a line that does not hold is blind for {2 * within:g} seconds; the true event is written again"
    )
    with _target(line) as (broker, target):
        if product not in load_line(line).products:
            raise InvalidConfiguration(f"the line has no product {product!r}")
        report = try_blinding(broker, target.topics, product, SystemClock(), timedelta(seconds=within))
    conclude(report, as_json, drill="blind", token=target.token)


@app.command("flood")
def try_flood(
    line: LineFile = Path("line.yaml"),
    yes: Yes = False,
    as_json: AsJson = False,
    within: Annotated[
        float, typer.Option("--within", help="Longest time to wait for the line, in seconds; by default 120.")
    ] = 120.0,
) -> None:
    """Write the largest records that the topic takes; each must be refused while the line goes on."""
    _ask(
        yes,
        f"{MOST_FLOOD} dead letters of up to 8 MiB stay on their topic, with the header steadyline-drill",
    )
    with _target(line) as (broker, target):
        report = try_frames(broker, target.topics, flood(target), SystemClock(), timedelta(seconds=within))
    conclude(report, as_json, drill="flood", token=target.token)


@contextmanager
def _target(path: Path) -> Iterator[tuple[Broker, DrillTarget]]:
    line = load_line(path)
    if STRANGER in line.products or STRANGER in {camera.id for camera in line.cameras}:
        raise InvalidConfiguration(f"the line has a camera or product {STRANGER!r}: a drill uses the name")
    camera, product = _own(line)
    broker = KafkaBroker(read_settings(KafkaSettings), "steadyline-drill")
    token, now = secrets.token_hex(4), datetime.now(UTC)
    try:
        yield broker, DrillTarget(line.line, line.kafka_topics(), camera, product, token, now)
    finally:
        broker.close()


def _own(line: Line) -> tuple[str, str]:
    """Return a camera and its product; the name of the drill where the line lists no cameras."""
    if line.cameras:
        return line.cameras[0].id, line.cameras[0].product
    return STRANGER, next(iter(line.products))


def _ask(yes: bool, leaves: str) -> None:
    """Say what the drill leaves, and go on only when a person agrees."""
    if not yes:
        typer.confirm(f"This attacks the line of the line file; {leaves}. Begin?", abort=True)
