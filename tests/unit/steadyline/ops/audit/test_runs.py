"""Runs of sequences."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from steadyline.ops.audit.ranges import above, below, count, displaced, each, gaps, head, inside

SEQUENCES = st.sets(st.integers(1, 40))


def as_runs(sequences: set[int]) -> list[tuple[int, int]]:
    return [(value, value) for value in sorted(sequences)]


@given(st.integers(0, 40), SEQUENCES, SEQUENCES)
def test_gaps_are_what_neither_points_nor_runs_cover(last: int, points: set[int], runs: set[int]) -> None:
    found = gaps(last, np.array(sorted(points), dtype=np.int64), as_runs(runs))
    assert list(each(found)) == sorted(set(range(1, last + 1)) - points - runs)
    assert count(found) == len(list(each(found)))


def test_runs_that_overlap_points_and_each_other_cover_once() -> None:
    assert gaps(20, np.array([3, 9], dtype=np.int64), [(2, 5), (4, 7), (15, 30)]) == [
        (1, 1),
        (8, 8),
        (10, 14),
    ]


@given(SEQUENCES, st.integers(0, 45))
def test_runs_are_cut_by_size_and_by_value(sequences: set[int], at: int) -> None:
    runs = as_runs(sequences)
    ordered = sorted(sequences)
    assert list(each(head(runs, at))) == ordered[:at]
    assert list(each(below(runs, at))) == [value for value in ordered if value < at]
    assert list(each(above(runs, at))) == [value for value in ordered if value >= at]


@given(st.lists(st.integers(1, 40)), SEQUENCES)
def test_a_value_is_inside_when_a_run_holds_it(values: list[int], held: set[int]) -> None:
    found = inside(np.array(values, dtype=np.int64), as_runs(held))
    assert found.tolist() == [value in held for value in values]


@given(st.permutations(range(8)))
def test_the_displaced_are_the_fewest_whose_removal_leaves_an_ascent(order: list[int]) -> None:
    found = displaced(np.array(order, dtype=np.int64))
    rest = [value for value in order if value not in found]
    assert rest == sorted(rest)
    assert len(rest) == longest_ascent(order)


def longest_ascent(order: list[int]) -> int:
    best = [1] * len(order)
    for end, value in enumerate(order):
        best[end] = max([1 + best[start] for start in range(end) if order[start] < value], default=1)
    return max(best, default=0)
