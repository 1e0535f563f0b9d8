"""``steadyline restore``: a line from the folder that ``steadyline backup`` wrote."""

from pathlib import Path
from typing import Annotated

import typer

from steadyline.cli.backup import Database, Folders, Postgresql, database_of, line_and_kafka, named_folders
from steadyline.ops.backup.put_back import BackupRestorer
from steadyline.ops.backup.take import BackupParts
from steadyline.service import LineFile
from steadyline.terminal import PlainConsole


def command(
    source: Annotated[Path, typer.Option("--from", help="Folder that `steadyline backup` wrote.")],
    line: LineFile = Path("line.yaml"),
    database: Database = None,
    postgresql: Postgresql = False,
    folder: Folders = None,
) -> None:
    """Restore a line to a Kafka, a store and folders that hold nothing of it.

    Every file is compared with its digest first; what is there already is never overwritten.
    """
    with line_and_kafka(line) as (config, broker, kafka):
        console = PlainConsole(soft_wrap=True)
        parts = BackupParts((), database_of(database, postgresql), named_folders(folder))
        kept = BackupRestorer(config, broker, kafka, console.print).restore(source, parts)
        console.print(f"line {kept.line} is as it was at {kept.made_at}: `steadyline audit` looks")
