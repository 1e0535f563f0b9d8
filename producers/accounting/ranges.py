"""Sequences as runs: sorted, disjoint (first, last, reason), merged with neighbours of the same reason."""

from bisect import bisect_left
from collections.abc import Iterable

Run = tuple[int, int, str]


class SequenceRanges:
    """A set of sequences, each with a reason."""

    def __init__(self, runs: Iterable[Run] = ()) -> None:
        self._ranges: list[Run] = sorted(runs)

    def __len__(self) -> int:
        return len(self._ranges)

    def __contains__(self, sequence: int) -> bool:
        index = bisect_left(self._ranges, (sequence + 1,)) - 1
        return index >= 0 and self._ranges[index][1] >= sequence

    def add(self, sequence: int, reason: str) -> None:
        """Add one sequence that is not in the set yet."""
        self.add_run(sequence, sequence, reason)

    def add_run(self, first: int, last: int, reason: str) -> None:
        """Add the sequences from ``first`` to ``last``, none of which is in the set yet."""
        index = bisect_left(self._ranges, (first,))
        begin = end = index
        if index and self._ranges[index - 1][1:] == (first - 1, reason):
            first, begin = self._ranges[index - 1][0], index - 1
        if (
            index < len(self._ranges)
            and self._ranges[index][0] == last + 1
            and self._ranges[index][2] == reason
        ):
            last, end = self._ranges[index][1], index + 1
        self._ranges[begin:end] = [(first, last, reason)]

    def as_list(self) -> list[Run]:
        """Return the runs in ascending order."""
        return list(self._ranges)

    def counts(self) -> dict[str, int]:
        """Return the number of sequences by reason."""
        counts: dict[str, int] = {}
        for first, last, reason in self._ranges:
            counts[reason] = counts.get(reason, 0) + last - first + 1
        return counts
