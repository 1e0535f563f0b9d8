"""Fixtures of the tests of alerts: the databases that each guarantee must hold on."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from alerts.database.connection import Database
from alerts.database.migration import migrate
from tests.support.alerts_bench import AlertsBench
from tests.support.postgres import MakeDatabase, postgres

__all__ = ["postgres"]

MakeBench = Callable[..., AlertsBench]


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.servers)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database, of each kind in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'alerts.db'}"
    make: MakeDatabase = request.getfixturevalue("postgres")
    return make()


@pytest.fixture
def bench(url: str) -> Iterator[AlertsBench]:
    """A broker in memory, and a migrated database."""
    made = AlertsBench(url)
    yield made
    made.close()


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    """A migrated database."""
    made = Database(url)
    migrate(made)
    yield made
    made.close()
