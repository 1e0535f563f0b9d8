"""The SQLite database of the alerts: copied by SQLite itself, and its offsets moved to the new topics."""

import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from steadyline.errors import InvalidConfiguration
from steadyline.ops.backup.moved import MovedOffsets


def copy_database(source: Path, target: Path) -> None:
    """Copy a database that may be open elsewhere; raises InvalidConfiguration."""
    if not source.is_file():
        raise InvalidConfiguration(f"{source} is no database: name the file that ALERTS_DATABASE names")
    if target.exists():
        raise InvalidConfiguration(f"{target} is there already: nothing is overwritten")
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        address = f"{source.resolve().as_uri()}?mode=ro"
        with closing(sqlite3.connect(address, uri=True)) as old, closing(sqlite3.connect(target)) as new:
            old.backup(new)
            # One file, which nobody who looks at it adds to; the alerts set what they want at their start.
            new.execute("PRAGMA journal_mode=DELETE")
            (told,) = new.execute("PRAGMA integrity_check").fetchone()
    except sqlite3.Error as error:
        raise InvalidConfiguration(f"{source} cannot be copied: {error}") from error
    if told != "ok":
        raise InvalidConfiguration(f"{source} is damaged: {told}")


def move_offsets(database: Path, moved: MovedOffsets, line: str, letters: str) -> None:
    """Let what the database says of offsets be true of the new topics; ``letters`` is the dead letters'."""
    with closing(sqlite3.connect(database)) as opened, opened:
        rows = opened.execute("SELECT topic, partition, topic_id, next FROM offsets").fetchall()
        for topic, partition, topic_id, offset in rows:
            if moved.is_former(topic, topic_id):
                values = (moved.ids[topic], moved.offset(topic, partition, offset), topic, partition)
                opened.execute(
                    "UPDATE offsets SET topic_id = ?, next = ? WHERE topic = ? AND partition = ?", values
                )
        kept = "SELECT topic_id, positions FROM line_watch WHERE line = ?"
        for topic_id, positions in opened.execute(kept, (line,)).fetchall():
            if not moved.is_former(letters, topic_id):
                continue
            places: Mapping[str, int] = json.loads(positions or "{}")
            new = {number: moved.offset(letters, int(number), offset) for number, offset in places.items()}
            row = (moved.ids[letters], json.dumps(new), line)
            opened.execute("UPDATE line_watch SET topic_id = ?, positions = ? WHERE line = ?", row)
