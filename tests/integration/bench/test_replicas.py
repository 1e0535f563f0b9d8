"""What the bench of replicas stands on: true rows, and a table that says when something was lost."""

import pytest

from bench.replicas.__main__ import COLUMNS, cells, table
from bench.replicas.measure import CLUSTER_FAULTS, ClusterRow, in_time_again

WHOLE = {"captured": 9, "scored": 9, "missing": 0, "doubled": 0, "out_of_order": 0}


@pytest.mark.parametrize("what", ["missing", "doubled", "out_of_order"])
def test_a_row_is_as_promised_only_when_nothing_is_lost_doubled_or_out_of_order(what: str) -> None:
    assert ClusterRow(CLUSTER_FAULTS[0], WHOLE).is_as_promised
    assert not ClusterRow(CLUSTER_FAULTS[0], {**WHOLE, what: 1}).is_as_promised
    assert not ClusterRow(CLUSTER_FAULTS[0], WHOLE, failure="frames wait").is_as_promised
    assert not ClusterRow(CLUSTER_FAULTS[0]).is_as_promised


def test_the_table_has_a_cell_for_each_column() -> None:
    row = ClusterRow(CLUSTER_FAULTS[0], WHOLE, {"drop_oldest": 2}, while_away=13.2, said="a|b")
    assert len(cells(row)) == len(COLUMNS)
    assert "2 drop_oldest" in cells(row)
    assert {line.count("|") for line in table([row])} == {len(COLUMNS) + 1}


def test_frames_are_in_time_again_once_none_comes_late_and_never_when_none_comes_at_all() -> None:
    scored, late = [101.0, 112.0, 113.0, 138.0], [112.0, 113.0]
    assert in_time_again(scored, late, 100.0, 140.0) == 13.0
    assert in_time_again(scored, [], 100.0, 140.0) == 0.0
    assert in_time_again([101.0], [], 100.0, 140.0) is None
