"""Reading: on both databases it takes no lock that a writer wants, and may not write."""

import pytest
from sqlalchemy import delete, func, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from alerts.database.connection import Database
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
