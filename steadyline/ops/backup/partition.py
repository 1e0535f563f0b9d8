"""Puts the records of one partition back at the very offsets that they had.

Scores and dead letters name a frame by its offset, so a frame must not come to another place. What lay
between records, the markers of transactions and what was cleaned up, is taken by markers of transactions
again: a committed one behind a record takes one offset, an aborted one of n records takes n and one.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from steadyline.kafka.broker import Partition, Record

FILLERS_AT_ONCE = 50_000  # of one aborted transaction, which must end within a minute


class RecordSink(Protocol):
    """Where records are written."""

    def write(self, records: Iterable[Record]) -> None: ...
    def settle(self) -> None: ...
    def end_transaction(self, records: Sequence[Record], is_kept: bool) -> None: ...
    def delete_before(self, partition: Partition, offset: int) -> None: ...


def put_back_at_offsets(sink: RecordSink, partition: Partition, records: Iterator[Record], end: int) -> None:
    """Write records at their own offsets into an empty partition, whose next offset is ``end`` then."""
    held = next(records, None)
    begin = end if held is None else held.offset
    if begin > 0:
        sink.write(_fillers(partition, begin))
        sink.settle()
        sink.delete_before(partition, begin)
    for record in records:
        assert held is not None
        _write_before_gap(sink, held, record.offset - held.offset - 1)
        held = record
    if held is not None:
        _write_before_gap(sink, held, end - held.offset - 1)
    sink.settle()


def _write_before_gap(sink: RecordSink, record: Record, gap: int) -> None:
    if gap == 1:
        sink.settle()
        sink.end_transaction([record], is_kept=True)
        return
    sink.write([record])
    if gap:
        sink.settle()
    while gap:
        # Never one offset for the last of them: an aborted transaction takes two at least.
        taken = gap if gap <= FILLERS_AT_ONCE else min(FILLERS_AT_ONCE, gap - 2)
        sink.end_transaction(list(_fillers(record.partition, taken - 1)), is_kept=False)
        gap -= taken


def _fillers(partition: Partition, count: int) -> Iterator[Record]:
    return (Record(partition, number, None, b"", (), 0) for number in range(count))
