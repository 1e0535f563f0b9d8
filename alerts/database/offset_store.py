"""How far each partition has been taken into the database; locked and moved with what was made of it."""

from collections.abc import Collection, Iterable, Mapping

from sqlalchemy import ColumnElement, select, tuple_, update
from sqlalchemy.orm import Session

from alerts.database.connection import insert_missing
from alerts.database.tables import OffsetRow
from steadyline.kafka.broker import Partition


class OffsetStore:
    """The offsets of the topics with these ids; one of a former topic of the same name counts as none."""

    def __init__(self, topic_ids: Mapping[str, str]) -> None:
        self._ids = dict(topic_ids)

    def read(self, session: Session, partitions: Collection[Partition]) -> dict[Partition, int]:
        """Return the next offset of each partition, 0 where nothing was taken; nothing is locked."""
        found = session.scalars(select(OffsetRow).where(_among(partitions)))
        return dict.fromkeys(partitions, 0) | self._next_offsets(found)

    def lock(self, session: Session, partitions: Collection[Partition]) -> dict[Partition, int]:
        """Return the next offset of each partition; until the transaction ends nobody else moves it."""
        new = [
            {"topic": place.topic, "partition": place.number, "topic_id": self._ids[place.topic], "next": 0}
            for place in sorted(partitions)
        ]
        insert_missing(session, OffsetRow, new)
        rows = select(OffsetRow).where(_among(partitions)).order_by(OffsetRow.topic, OffsetRow.partition)
        return self._next_offsets(session.scalars(rows.with_for_update()))

    def advance(self, session: Session, offsets: Mapping[Partition, int]) -> None:
        """Move locked partitions to their next offsets, on the topics as they are now."""
        for place, offset in offsets.items():
            row = update(OffsetRow).where(_among([place]))
            session.execute(row.values(topic_id=self._ids[place.topic], next=offset))

    def _next_offsets(self, rows: Iterable[OffsetRow]) -> dict[Partition, int]:
        return {
            Partition(row.topic, row.partition): row.next if row.topic_id == self._ids[row.topic] else 0
            for row in rows
        }


def _among(partitions: Collection[Partition]) -> ColumnElement[bool]:
    places = [(place.topic, place.number) for place in partitions]
    return tuple_(OffsetRow.topic, OffsetRow.partition).in_(places)
