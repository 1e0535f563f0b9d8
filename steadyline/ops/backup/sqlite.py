"""The alerts' database where it is a file of SQLite: copied by SQLite itself."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import ClassVar

from steadyline.errors import InvalidConfiguration
from steadyline.ops.backup.database import Row


class SqliteDatabase:
    """See ``LineDatabase``; the file may be open elsewhere."""

    NAME: ClassVar[str] = "alerts.db"

    def __init__(self, path: Path) -> None:
        self._path = path

    def take(self, folder: Path) -> None:
        """See ``LineDatabase``."""
        _copy(self._path, folder / self.NAME)

    def check_free(self) -> None:
        """See ``LineDatabase``."""
        if self._path.exists():
            raise InvalidConfiguration(f"{self._path} is there already: nothing is overwritten")

    def put_back(self, folder: Path) -> None:
        """See ``LineDatabase``."""
        self.check_free()
        _copy(folder / self.NAME, self._path)

    def rows(self, query: str) -> list[Row]:
        """See ``LineDatabase``."""
        with closing(sqlite3.connect(self._path)) as opened:
            return [["" if value is None else str(value) for value in row] for row in opened.execute(query)]

    def execute(self, statements: Sequence[str]) -> None:
        """See ``LineDatabase``."""
        with closing(sqlite3.connect(self._path)) as opened, opened:
            for statement in statements:
                opened.execute(statement)


def _copy(source: Path, target: Path) -> None:
    if not source.is_file():
        raise InvalidConfiguration(f"{source} is no database: name the file that ALERTS_DATABASE names")
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
