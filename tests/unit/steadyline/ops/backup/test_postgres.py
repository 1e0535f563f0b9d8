"""A database of PostgreSQL is copied and restored by PostgreSQL's own programs."""

import os
from array import array
from collections.abc import Iterator
from pathlib import Path

import pytest

from alerts.database.connection import Database
from alerts.database.migration import migrate
from alerts.database.tables import Base, LineWatchRow, OffsetRow
from steadyline.cli.backup import database_of
from steadyline.errors import InvalidConfiguration
from steadyline.ops.backup.database import LineDatabase, move_offsets
from steadyline.ops.backup.moved import MovedOffsets
from steadyline.ops.backup.postgres import PostgresAddress, PostgresDatabase
from tests.support.certificates import CertificateAuthority
from tests.support.postgres import LockedPostgres, MakeDatabase, postgres, require_postgres

__all__ = ["postgres"]  # a fixture


def opened(address: str) -> LineDatabase:
    return PostgresDatabase(PostgresAddress.of(address))


def written(address: str) -> None:
    """Make the tables of the alerts, and write what a backup has to move."""
    database = Database(address)
    migrate(database)
    with database.transaction() as session:
        for topic, partition, topic_id, offset in (
            ("scores", 0, "old", 13),
            ("scores", 1, "older", 13),
            ("it's status", 0, "was", 8),
        ):
            session.add(OffsetRow(topic=topic, partition=partition, topic_id=topic_id, next=offset))
        session.add(LineWatchRow(line="test", topic_id="dead", positions='{"0": 4}'))
    database.close()


@pytest.mark.servers
def test_what_was_copied_is_restored_and_follows_the_new_topics(
    postgres: MakeDatabase, tmp_path: Path
) -> None:
    old, new = postgres(), postgres()
    written(old)
    opened(old).take(tmp_path)
    restored = opened(new)
    restored.check_free()
    restored.put_back(tmp_path)
    names = {name for (name,) in restored.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")}
    assert set(Base.metadata.tables) <= names
    every = "SELECT topic, partition, topic_id, next FROM offsets ORDER BY 1, 2"
    assert restored.rows(every) == opened(old).rows(every)

    ids = {"scores": "new", "it's status": "is", "letters": "alive"}
    moved = MovedOffsets(ids, {"scores": "old", "it's status": "was", "letters": "dead"})
    moved.packed["scores", 0] = array("q", [10, 12, 13, 15])
    move_offsets(restored, moved, "test", "letters")
    assert restored.rows(every) == [
        ["it's status", "0", "is", "8"],
        ["scores", "0", "new", "2"],
        ["scores", "1", "older", "13"],  # of a topic before the one that was backed up: it counts as none
    ]
    assert restored.rows("SELECT topic_id, positions FROM line_watch") == [["alive", '{"0": 4}']]
    with pytest.raises(InvalidConfiguration, match=r"holds \d+ tables: name a new and empty one"):
        restored.check_free()


@pytest.fixture
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LockedPostgres]:
    """A server that takes its user encrypted and by a password alone."""
    require_postgres()
    home = tmp_path_factory.mktemp("locked-postgres")
    if os.geteuid() == 0:
        for folder in (home, *home.parents[:3]):
            folder.chmod(folder.stat().st_mode | 0o011)
    server = LockedPostgres(home, CertificateAuthority(tmp_path_factory.mktemp("authority")))
    try:
        server.start()
        server.make_users()
        yield server
    finally:
        server.stop()


@pytest.mark.servers
def test_a_server_that_is_locked_is_asked_with_the_password_and_the_authority_of_the_address(
    locked: LockedPostgres, tmp_path: Path
) -> None:
    address = locked.url("plant", LockedPostgres.PASSWORD, sslmode="require")
    written(address)
    opened(address).take(tmp_path)
    assert (tmp_path / PostgresDatabase.NAME).stat().st_size > 1000
    with pytest.raises(InvalidConfiguration, match="password authentication failed") as caught:
        opened(locked.url("plant", "marked-wrong", sslmode="require")).take(tmp_path)
    assert "marked-wrong" not in str(caught.value)


@pytest.mark.parametrize(
    "address",
    [
        "postgresql+psycopg://plant:s%40cret@db.example:5433/alerts?sslmode=verify-full",
        "postgresql://plant@db.example:5433/alerts?sslmode=verify-full&password=s%40cret",
    ],
)
def test_no_argument_has_the_password(address: str) -> None:
    found = PostgresAddress.of(address)
    assert found == PostgresAddress("postgresql://plant@db.example:5433/alerts?sslmode=verify-full", "s@cret")
    assert "cret" not in repr(found)


@pytest.mark.parametrize(
    "address", ["", "sqlite:///alerts.db", "mysql://a@b/c", "postgresql://host", "http://[/x"]
)
def test_an_address_of_something_else_is_refused(address: str) -> None:
    with pytest.raises(InvalidConfiguration, match="ALERTS_DATABASE must be postgresql"):
        PostgresAddress.of(address)


def test_a_key_with_a_password_is_refused_before_a_program_shows_it() -> None:
    with pytest.raises(InvalidConfiguration, match="sslpassword"):
        PostgresAddress.of("postgresql://a@b/c?sslpassword=x")


def program_that_says(folder: Path, name: str, text: str, status: int = 1) -> None:
    path = folder / name
    path.write_text(
        f"#!/bin/sh\ncat <<'END' >&{2 if status else 1}\n{text}\nEND\nexit {status}\n", encoding="utf-8"
    )
    path.chmod(0o755)


def test_programs_of_another_release_say_which_one_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = (
        "pg_dump: error: aborting because of server version mismatch\n"
        "pg_dump: detail: server version: 99.1 (Debian 99.1-1); pg_dump version: 15.14 (Debian 15.14-0)"
    )
    program_that_says(tmp_path, "psql", "990001", status=0)
    program_that_says(tmp_path, "pg_dump", said)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    told = (
        "pg_dump: it is of release 15.14 and the server of 99.1: install the client programs of PostgreSQL 99"
    )
    with pytest.raises(InvalidConfiguration, match=told):
        opened("postgresql://a@127.0.0.1/c").take(tmp_path)


def test_programs_that_are_missing_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InvalidConfiguration, match="psql is not installed here"):
        opened("postgresql://a@127.0.0.1/c").take(tmp_path)


def test_one_database_is_named_in_one_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALERTS_DATABASE", "postgresql+psycopg://a@b/c")
    assert isinstance(database_of(None, is_postgresql=True), PostgresDatabase)
    assert database_of(None, is_postgresql=False) is None
    with pytest.raises(InvalidConfiguration, match="not both"):
        database_of(tmp_path / "alerts.db", is_postgresql=True)
