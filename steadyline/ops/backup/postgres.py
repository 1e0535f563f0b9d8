"""The alerts' database where it is PostgreSQL: copied by PostgreSQL's own programs.

Those of the server's release are taken where several are installed: an older ``pg_dump`` refuses the server,
and what a newer one writes an older server may not understand.
"""

import csv
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

from steadyline.errors import InvalidConfiguration
from steadyline.ops.backup.database import Row

DRIVERS = ("postgresql", "postgresql+psycopg")
INSTALLED = Path("/usr/lib/postgresql")  # where Debian and Ubuntu keep one release beside another
_CONNECT_SECONDS = "10"
_TABLES = (
    "SELECT count(*) FROM pg_catalog.pg_class WHERE relkind IN ('r', 'p') "
    "AND relnamespace = current_schema()::regnamespace"
)
_MISMATCH = re.compile(r"server version: (\S+).*?version: (\S+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class PostgresAddress:
    """What the programs are given: an address without any secret, and the password beside it."""

    uri: str
    password: str = field(repr=False)

    @staticmethod
    def of(text: str) -> "PostgresAddress":
        """Read an address as ALERTS_DATABASE has it; raises InvalidConfiguration where it is none.

        The words of its query are those of libpq, as they are for the alerts.
        """
        try:
            parts = urlsplit(text)
            password, host = unquote(parts.password or ""), parts.netloc.rpartition("@")[2]
        except ValueError:
            parts = urlsplit("")
            password = host = ""
        if parts.scheme not in DRIVERS or not parts.path.strip("/"):
            raise InvalidConfiguration(
                "ALERTS_DATABASE must be postgresql+psycopg://USER:PASSWORD@HOST/NAME: of a file of SQLite, "
                "give --database FILE"
            )
        words = parse_qsl(parts.query, keep_blank_values=True)
        password = next((value for name, value in words if name == "password"), password)
        if any(name == "sslpassword" for name, _ in words):
            raise InvalidConfiguration(
                "ALERTS_DATABASE has sslpassword, which PostgreSQL's programs would show to every process: "
                "use a key without a password, readable by its owner alone"
            )
        query = urlencode([(name, value) for name, value in words if name != "password"])
        user = parts.netloc.rpartition("@")[0].partition(":")[0]
        place = f"{user}@{host}" if user else host
        return PostgresAddress(urlunsplit(("postgresql", place, parts.path, query, "")), password)


class PostgresDatabase:
    """See ``LineDatabase``; the server may be in use by others."""

    NAME: ClassVar[str] = "alerts.dump"

    def __init__(self, address: PostgresAddress) -> None:
        self._address = address

    def take(self, folder: Path) -> None:
        """See ``LineDatabase``."""
        options = ["--format=custom", "--no-owner", "--no-privileges", f"--file={folder / self.NAME}"]
        self._run("pg_dump", options)

    def check_free(self) -> None:
        """See ``LineDatabase``: the database must be there, and hold no table."""
        ((count,),) = self.rows(_TABLES)
        if int(count):
            raise InvalidConfiguration(
                f"the database of ALERTS_DATABASE holds {count} tables: name a new and empty one, for "
                "nothing is overwritten"
            )

    def put_back(self, folder: Path) -> None:
        """See ``LineDatabase``: all of it, or nothing."""
        options = ["--no-owner", "--no-privileges", "--exit-on-error", "--single-transaction"]
        self._run("pg_restore", [*options, str(folder / self.NAME)])

    def rows(self, query: str) -> list[Row]:
        """See ``LineDatabase``."""
        return list(csv.reader(self._ask(_program("psql", self._release()), query).splitlines(keepends=True)))

    def execute(self, statements: Sequence[str]) -> None:
        """See ``LineDatabase``."""
        if statements:
            told = "BEGIN;\n" + "".join(f"{statement};\n" for statement in statements) + "COMMIT;\n"
            self._ask(_program("psql", self._release()), told)

    def _release(self) -> int:
        """Return the server's major version; raises InvalidConfiguration when it does not answer."""
        return int(self._ask(_program("psql", None), "SHOW server_version_num")) // 10_000

    def _ask(self, psql: str, query: str) -> str:
        options = ["--no-psqlrc", "--quiet", "--csv", "--tuples-only", "--set=ON_ERROR_STOP=1"]
        return self._call([psql, *options], query)

    def _run(self, name: str, options: Sequence[str]) -> None:
        self._call([_program(name, self._release()), *options], "")

    def _call(self, words: Sequence[str], told: str) -> str:
        """Run a program on the database; the password reaches it by the environment, as no argument does."""
        environment = {**os.environ, "PGCONNECT_TIMEOUT": _CONNECT_SECONDS, "PGCLIENTENCODING": "UTF8"}
        if self._address.password:
            environment["PGPASSWORD"] = self._address.password
        command = [words[0], "--no-password", f"--dbname={self._address.uri}", *words[1:]]
        done = subprocess.run(
            command, input=told, env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise InvalidConfiguration(f"{Path(words[0]).name}: {_brief(done.stderr)}")
        return done.stdout


def _program(name: str, release: int | None) -> str:
    """Return the program of a release, or the one that is found first; raises InvalidConfiguration."""
    exact = INSTALLED / str(release) / "bin" / name
    if release is not None and exact.is_file():
        return str(exact)
    found = shutil.which(name)
    if found is None:
        which = "" if release is None else f" {release}"
        raise InvalidConfiguration(
            f"{name} is not installed here: the client programs of PostgreSQL{which} copy that database "
            "(Debian, Ubuntu: postgresql-client)"
        )
    return found


def _brief(said: str) -> str:
    mismatch = _MISMATCH.search(said)
    if mismatch is not None:
        server, ours = mismatch.groups()
        return (
            f"it is of release {ours.rstrip(';')} and the server of {server.rstrip(';')}: install the client "
            f"programs of PostgreSQL {server.partition('.')[0]}"
        )
    return "; ".join(said.strip().splitlines())[:500] or "it failed without a word"
