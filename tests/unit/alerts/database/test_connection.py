"""Reading: on both databases it takes no lock that a writer wants, and may not write."""

import threading
from pathlib import Path

import pytest
from sqlalchemy import delete, func, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from alerts.database import connection
from alerts.database.connection import Database
from alerts.database.migration import migrate
from alerts.database.tables import OffsetRow
from steadyline.errors import StoreUnavailable


def a_row(number: int) -> OffsetRow:
    return OffsetRow(topic="t", topic_id="id", partition=number, next=0)


def count(session: Session) -> int:
    return session.scalars(select(func.count()).select_from(OffsetRow)).one()


def test_a_writer_and_a_reader_wait_for_neither(database: Database) -> None:
    with database.transaction() as writing:
        writing.add(a_row(1))
        writing.flush()
        with database.read() as reading:
            assert count(reading) == 0
    with database.read() as reading:
        assert count(reading) == 1
        with database.transaction() as writing:
            writing.add(a_row(2))
        assert count(reading) == 1, "it sees one state to its end"
    with database.read() as reading:
        assert count(reading) == 2


def test_what_only_reads_is_kept_from_writing_and_its_connection_is_not(database: Database) -> None:
    with pytest.raises((StoreUnavailable, DBAPIError)), database.read() as reading:
        reading.execute(delete(OffsetRow))
    with database.transaction() as writing:
        writing.add(a_row(1))
    with database.read() as reading:
        assert count(reading) == 1


def test_many_threads_write_and_each_gets_its_turn(database: Database) -> None:
    def write(first: int) -> None:
        for number in range(first, first + 25):
            with database.transaction() as writing:
                writing.add(a_row(number))

    threads = [threading.Thread(target=write, args=(100 * one,)) for one in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.read() as reading:
        assert count(reading) == 100


def test_a_thread_that_waits_too_long_for_another_one_of_its_process_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "_SQLITE_WAIT_SECONDS", 0.05)
    database = Database(f"sqlite:///{tmp_path / 'alerts.db'}")
    migrate(database)
    with (
        database.transaction(),
        pytest.raises(StoreUnavailable, match="another thread of this process"),
        database.transaction(),
    ):
        pass
    with database.transaction() as writing:
        writing.add(a_row(1))
    database.close()
