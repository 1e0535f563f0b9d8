"""``steadyline calibrate``: put a camera right that stands in another light than its model was trained in."""

import getpass
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from steadyline.cli.line_models import event_source, line_broker
from steadyline.clock import SystemClock
from steadyline.contracts.model_command import MOST_WHO, MOST_WHY, Action, ModelCommand
from steadyline.contracts.station import MOST_PICTURES
from steadyline.errors import InvalidConfiguration
from steadyline.kafka.broker import Broker
from steadyline.kafka.commands import CommandPublisher
from steadyline.kafka.model_orders import SentCommand, await_answer, newest_events
from steadyline.line import Line
from steadyline.ops.station_frames import folder_pictures, last_pictures, put_pictures
from steadyline.service import EXIT_FAILED, LineFile
from steadyline.station import FEWEST_PICTURES
from steadyline.store import Store
from steadyline.terminal import PlainConsole, styled

CLIENT = "steadyline-calibrate"

Camera = Annotated[str, typer.Option("--camera", help="Camera that stands in another light.")]
Last = Annotated[
    int | None,
    typer.Option(
        "--last",
        min=FEWEST_PICTURES,
        max=MOST_PICTURES,
        help="Calibrate with the last so many frames of the camera; up to half of them may be defective; "
        f"by default {FEWEST_PICTURES}.",
    ),
]
PictureFolder = Annotated[
    Path | None,
    typer.Option("--pictures", help="Calibrate with the pictures of a folder instead; by default none."),
]
Undo = Annotated[bool, typer.Option("--undo", help="Take the camera's calibration back.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Say what the calibration would be, and change nothing.")
]
ProductName = Annotated[
    str | None,
    typer.Option("--product", help="Product of the camera; by default the one that the line file names."),
]
Why = Annotated[str, typer.Option("--why", help="Reason, which the history keeps; by default none.")]
Within = Annotated[
    float,
    typer.Option("--within", min=0, max=86_400, help="Longest time to wait for the answer, in seconds."),
]


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What is calibrated: ``last`` frames of the camera, or the pictures of a ``folder``."""

    camera: str
    product: str | None
    last: int | None
    folder: Path | None
    undo: bool
    dry_run: bool
    why: str


def command(
    camera: Camera,
    line: LineFile = Path("line.yaml"),
    last: Last = None,
    pictures: PictureFolder = None,
    undo: Undo = False,
    dry_run: DryRun = False,
    product: ProductName = None,
    why: Why = "",
    within: Within = 120.0,
) -> None:
    """Put a camera right whose light has changed: eight frames are enough, and half of them may be defective.

    The trainer finds the correction, proves that it costs no detection, and announces it; scorers take it
    over between two frames. Exits with 1 when it is refused, with the figures, or not answered.
    """
    _order(line, _Wanted(camera, product, last, pictures, undo, dry_run, why), timedelta(seconds=within))


def _order(path: Path, wanted: _Wanted, within: timedelta) -> None:
    _check(wanted)
    console = PlainConsole(soft_wrap=True)
    with line_broker(path) as (line, broker):
        product = product_of(line, wanted.camera, wanted.product)
        known = newest_events(event_source(line, broker)).get(product)
        digests = [] if wanted.undo else _pictures(line, broker, product, wanted)
        action: Action = "uncalibrate" if wanted.undo else "calibrate"
        command = ModelCommand(
            product=product,
            action=action,
            camera=wanted.camera,
            pictures=digests,
            dry_run=wanted.dry_run,
            who=getpass.getuser()[:MOST_WHO],
            at=datetime.now(UTC),
            why=wanted.why,
        )
        topic = line.kafka_topics().model_commands
        with closing(CommandPublisher(broker, topic, line.line, CLIENT)) as commands:
            offset = commands.send(command)
        versions = frozenset(model.version for model in known.models) if known else frozenset()
        sent = SentCommand(command, offset, versions)
        change, _ = await_answer(event_source(line, broker), sent, SystemClock(), within)
    if change is None:
        unanswered = (f"no answer within {within}", "red")
        console.print(styled(unanswered, ": is a trainer running? The order stands."))
        raise typer.Exit(EXIT_FAILED)
    console.print(f"version {change.version}: {change.reason}")
    if change.reason.startswith("refused"):
        raise typer.Exit(EXIT_FAILED)


def product_of(line: Line, camera: str, product: str | None) -> str:
    """Return the product of a camera; raises InvalidConfiguration when the line does not know it, or
    another.
    """
    known = {one.id: one.product for one in line.cameras}
    if known and camera not in known:
        raise InvalidConfiguration(f"the line has no camera {camera!r}; it has {', '.join(sorted(known))}")
    found = product or known.get(camera)
    if found is None:
        raise InvalidConfiguration(
            "the line file lists no cameras: say with --product what this one looks at"
        )
    if found not in line.products or known.get(camera, found) != found:
        raise InvalidConfiguration(f"the line has no camera {camera!r} of product {found!r}")
    return found


def _pictures(line: Line, broker: Broker, product: str, wanted: _Wanted) -> list[str]:
    if wanted.folder is not None:
        found = folder_pictures(wanted.folder)
    else:
        with closing(broker.reader(CLIENT)) as reader:
            topic, count = line.kafka_topics().frames.name, wanted.last or FEWEST_PICTURES
            found = last_pictures(reader, topic, wanted.camera, count, datetime.now(UTC))
    store = Store(line.store, may_be_clear=line.store_in_clear)
    return put_pictures(store, line.line, product, found)


def _check(wanted: _Wanted) -> None:
    """Raise InvalidConfiguration when options do not go together."""
    if len(wanted.why) > MOST_WHY:
        raise InvalidConfiguration(f"--why has {len(wanted.why)} characters: {MOST_WHY} is the most")
    if wanted.last is not None and wanted.folder is not None:
        raise InvalidConfiguration("--last and --pictures: take one of the two")
    if wanted.undo and (wanted.last is not None or wanted.folder is not None or wanted.dry_run):
        raise InvalidConfiguration("--undo goes without --last, --pictures and --dry-run")
