"""Records come back at their own offsets, whatever lay between them."""

from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steadyline.kafka.broker import Partition, Record
from steadyline.ops.backup import partition as restoring
from steadyline.ops.backup.partition import put_back_at_offsets

PLACE = Partition("frames.v1", 0)


class PartitionLog:
    """Gives offsets as a broker does: to each record, and to the marker of each transaction."""

    def __init__(self) -> None:
        self.visible: dict[int, bytes | None] = {}
        self.end = self.largest_transaction = 0

    def write(self, records: Iterable[Record]) -> None:
        for record in records:
            self.visible[self.end] = record.value
            self.end += 1

    def settle(self) -> None:
        """Nothing is on its way here."""

    def end_transaction(self, records: Sequence[Record], is_kept: bool) -> None:
        assert records, "a transaction that wrote nothing leaves no marker"
        self.largest_transaction = max(self.largest_transaction, len(records))
        if is_kept:
            self.write(records)
        else:
            self.end += len(records)
        self.end += 1

    def delete_before(self, partition: Partition, offset: int) -> None:
        assert offset <= self.end
        self.visible = {at: value for at, value in self.visible.items() if at >= offset}


def put_back(offsets: Sequence[int], end: int) -> PartitionLog:
    log = PartitionLog()
    records = (Record(PLACE, offset, None, str(offset).encode(), (), 0) for offset in offsets)
    put_back_at_offsets(log, PLACE, records, end)
    return log


@given(st.lists(st.integers(1, 6), max_size=30), st.integers(0, 6), st.integers(0, 9))
def test_each_record_has_its_offset_and_the_partition_its_end(
    steps: list[int], behind: int, first: int
) -> None:
    offsets = [first + sum(steps[:count]) for count in range(len(steps))]
    end = (offsets[-1] + 1 if offsets else first) + behind
    log = put_back(offsets, end)
    assert log.visible == {offset: str(offset).encode() for offset in offsets}
    assert log.end == end


@pytest.mark.parametrize("gap", range(2, 14))
def test_a_wide_gap_is_taken_by_several_transactions(gap: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restoring, "FILLERS_AT_ONCE", 4)
    log = put_back([0, gap + 1], gap + 2)
    assert (set(log.visible), log.end) == ({0, gap + 1}, gap + 2)
    assert log.largest_transaction <= 4
