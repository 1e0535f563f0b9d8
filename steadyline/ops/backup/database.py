"""The database of the alerts as a backup sees it, and what of it follows topics that are made anew."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Protocol

from steadyline.errors import InvalidConfiguration
from steadyline.ops.backup.moved import MovedOffsets

Row = Sequence[str]  # what a query returns, as text
_OFFSETS = "SELECT topic, partition, topic_id, next FROM offsets"
_WATCHES = "SELECT line, topic_id, positions FROM line_watch"


class LineDatabase(Protocol):
    """One database; ``NAME`` is what its copy is called in a backup, by which its kind is known too.

    Every method raises InvalidConfiguration where the database, or a program that is needed, is not as it
    must be.
    """

    NAME: ClassVar[str]

    def take(self, folder: Path) -> None:
        """Write a copy to ``folder``."""
        ...

    def check_free(self) -> None:
        """Raise InvalidConfiguration where something is in the place that is to be restored to."""
        ...

    def put_back(self, folder: Path) -> None:
        """Restore the copy of ``folder``."""
        ...

    def rows(self, query: str) -> list[Row]:
        """Return what a query finds."""
        ...

    def execute(self, statements: Sequence[str]) -> None:
        """Execute statements in one transaction."""
        ...


def move_offsets(database: LineDatabase, moved: MovedOffsets, line: str, letters: str) -> None:
    """Let what the database says of offsets be true of the new topics; ``letters`` is the dead letters'."""
    database.execute(
        [
            *_moved_offsets(database.rows(_OFFSETS), moved),
            *_moved_watches(database.rows(_WATCHES), moved, line, letters),
        ]
    )


def _moved_offsets(rows: Sequence[Row], moved: MovedOffsets) -> Iterator[str]:
    for topic, partition, topic_id, offset in rows:
        if moved.is_former(topic, topic_id):
            place = moved.offset(topic, int(partition), int(offset))
            yield (
                f"UPDATE offsets SET topic_id = {_text(moved.ids[topic])}, next = {place} "
                f"WHERE topic = {_text(topic)} AND partition = {int(partition)}"
            )


def _moved_watches(rows: Sequence[Row], moved: MovedOffsets, line: str, letters: str) -> Iterator[str]:
    for watched, topic_id, positions in rows:
        if watched != line or not moved.is_former(letters, topic_id):
            continue
        places: Mapping[str, int] = json.loads(positions or "{}")
        new = {number: moved.offset(letters, int(number), offset) for number, offset in places.items()}
        yield (
            f"UPDATE line_watch SET topic_id = {_text(moved.ids[letters])}, "
            f"positions = {_text(json.dumps(new))} WHERE line = {_text(line)}"
        )


def _text(value: str) -> str:
    """Return a literal that SQLite and PostgreSQL read alike."""
    if "\0" in value:
        raise InvalidConfiguration(f"{value!r} is no name: it has a character that no database takes")
    return "'" + value.replace("'", "''") + "'"
