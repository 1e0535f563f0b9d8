"""The database is brought to its tables once, whoever starts first, and a newer one is left alone."""

import threading
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import text

from alerts.database.connection import Database
from alerts.database.migration import migrate
from alerts.database.tables import Base
from steadyline.errors import ContractBroken, InvalidConfiguration, StoreUnavailable


def test_the_revisions_give_the_tables_of_this_release(database: Database) -> None:
    """A table or a column was added without a revision: ``python -m tools.migration NAME TEXT`` writes it."""
    with database.transaction() as session:
        assert compare_metadata(MigrationContext.configure(session.connection()), Base.metadata) == []


def test_processes_that_start_together_migrate_once(url: str) -> None:
    found: list[str] = []

    def start() -> None:
        database = Database(url)
        found.append(migrate(database))
        database.close()

    starts = [threading.Thread(target=start) for _ in range(4)]
    for thread in starts:
        thread.start()
    for thread in starts:
        thread.join()
    assert len(found) == 4
    assert found.count("") == 1


def test_a_database_of_a_newer_release_is_refused_and_left_as_it_is(database: Database) -> None:
    with database.transaction() as session:
        session.execute(text("UPDATE alembic_version SET version_num = 'r9999_later'"))
    with pytest.raises(ContractBroken, match=r"newer release.*r9999_later"):
        migrate(database)
    with database.transaction() as session:
        assert session.scalar(text("SELECT version_num FROM alembic_version")) == "r9999_later"


@pytest.mark.parametrize(
    "url",
    ["mysql://u:secret@h/d", "postgresql://u:secret@h/d", "nonsense", "sqlite://", "sqlite:///:memory:"],
)
def test_an_address_of_another_database_is_refused_without_telling_it(url: str) -> None:
    with pytest.raises(InvalidConfiguration) as refused:
        Database(url)
    assert "secret" not in str(refused.value)


def test_a_folder_that_cannot_be_made_is_a_store_that_is_away(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreUnavailable, match="folder"):
        Database(f"sqlite:///{tmp_path / 'file' / 'alerts.db'}")


def test_a_database_that_is_away_is_a_store_that_is_away() -> None:
    database = Database("postgresql+psycopg://u@127.0.0.1:1/none")
    with pytest.raises(StoreUnavailable):
        migrate(database)
    database.close()
