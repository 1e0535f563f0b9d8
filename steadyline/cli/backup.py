"""``steadyline backup``: a line that stands still, as a folder of files."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from steadyline.clock import SystemClock
from steadyline.errors import InvalidConfiguration
from steadyline.kafka.acls import restoring_id
from steadyline.kafka.broker import Broker
from steadyline.kafka.client.broker import KafkaBroker
from steadyline.kafka.client.restorer import KafkaRestorer
from steadyline.line import Line, load_line
from steadyline.ops.backup.database import LineDatabase
from steadyline.ops.backup.postgres import PostgresAddress, PostgresDatabase
from steadyline.ops.backup.sqlite import SqliteDatabase
from steadyline.ops.backup.take import BackupParts, BackupTaker
from steadyline.service import LineFile
from steadyline.settings import KafkaSettings, Settings, read_settings
from steadyline.terminal import PlainConsole

CLIENT = "steadyline-backup"

Database = Annotated[
    Path | None,
    typer.Option(
        "--database", help="File of the alerts' database where it is of SQLite; by default there is none."
    ),
]
Postgresql = Annotated[
    bool,
    typer.Option(
        "--postgresql",
        help="The alerts' database is the PostgreSQL that ALERTS_DATABASE, or the file of "
        "ALERTS_DATABASE_FILE, names; by default it is not.",
    ),
]
Folders = Annotated[
    list[str] | None,
    typer.Option(
        "--folder",
        metavar="NAME=PATH",
        help="Folder that belongs to the line, trainer=PATH of TRAINER_WORK for example; repeatable, by "
        "default none.",
    ),
]
Groups = Annotated[
    list[str] | None,
    typer.Option(
        "--group",
        help="Consumer group whose positions are kept; repeatable, by default PREFIX.scorer and "
        "PREFIX.alerts.",
    ),
]


def command(
    out: Annotated[Path, typer.Option("--out", help="Folder to write, which is not there yet.")],
    line: LineFile = Path("line.yaml"),
    database: Database = None,
    postgresql: Postgresql = False,
    folder: Folders = None,
    group: Groups = None,
    without_frames: Annotated[
        bool, typer.Option("--without-frames", help="Leave out the pictures of the frames on the topic.")
    ] = False,
) -> None:
    """Write a line to a folder: topics, positions, store, database and folders.

    All services of the line must be stopped; it is refused while one is alive or a topic grows.
    """
    with line_and_kafka(line) as (config, broker, kafka):
        alerts = database_of(database, postgresql)
        parts = BackupParts(groups_of(config, group), alerts, named_folders(folder), without_frames)
        console = PlainConsole(soft_wrap=True)
        BackupTaker(config, broker, kafka, console.print).take(out, parts, SystemClock().now())
        console.print(f"{out} holds line {config.line}; secrets and the line file are not in it")


class AlertsDatabase(Settings):
    """Where the alerts' database is: the setting of the alerts themselves."""

    model_config = SettingsConfigDict(env_prefix="ALERTS_")

    database: SecretStr = Field(SecretStr(""), description="Address of the database of alerts.")


def database_of(file: Path | None, is_postgresql: bool) -> LineDatabase | None:
    """Return the database that the options name, or None; raises InvalidConfiguration."""
    if file is not None and is_postgresql:
        raise InvalidConfiguration("--database is for SQLite: give it or --postgresql, not both")
    if is_postgresql:
        address = read_settings(AlertsDatabase).database.get_secret_value()
        return PostgresDatabase(PostgresAddress.of(address))
    return None if file is None else SqliteDatabase(file)


def groups_of(config: Line, given: Sequence[str] | None) -> list[str]:
    """Return the groups of a line, or those that are named."""
    return list(given or (f"{config.topics.prefix}.scorer", f"{config.topics.prefix}.alerts"))


def named_folders(given: Sequence[str] | None) -> dict[str, Path]:
    """Return NAME=PATH as pairs; raises InvalidConfiguration."""
    pairs = {}
    for text in given or ():
        name, _, path = text.partition("=")
        if not name.isidentifier() or not path:
            raise InvalidConfiguration(f"--folder {text}: write --folder NAME=PATH")
        pairs[name] = Path(path)
    return pairs


@contextmanager
def line_and_kafka(line: Path) -> Iterator[tuple[Line, Broker, KafkaRestorer]]:
    """Open what a backup and a restoration work with."""
    config, settings = load_line(line), read_settings(KafkaSettings)
    broker = KafkaBroker(settings, CLIENT)
    try:
        kafka = KafkaRestorer(settings, restoring_id(config.topics.prefix))
        try:
            yield config, broker, kafka
        finally:
            kafka.close()
    finally:
        broker.close()
