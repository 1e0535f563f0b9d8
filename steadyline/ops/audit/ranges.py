"""Sequences as runs (first, last): find the gaps between them, and the ones that are out of order."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

Run = tuple[int, int]
Sequences = npt.NDArray[np.int64]


def gaps(last: int, present: Sequences, runs: Sequence[Run]) -> list[Run]:
    """Return the runs of 1..``last`` that neither ``present`` (ascending) nor ``runs`` cover."""
    present = present[(present >= 1) & (present <= last)]
    firsts = np.concatenate((present, np.array([first for first, _ in runs], dtype=np.int64), [last + 1]))
    lasts = np.concatenate((present, np.array([end for _, end in runs], dtype=np.int64), [last + 1]))
    order = np.argsort(firsts, kind="stable")
    firsts, lasts = firsts[order], lasts[order]
    covered = np.concatenate(([0], np.maximum.accumulate(lasts)[:-1]))
    holes = firsts > covered + 1
    begins, ends = covered[holes] + 1, np.minimum(firsts[holes] - 1, last)
    return [(int(first), int(end)) for first, end in zip(begins, ends, strict=True) if first <= end]


def count(runs: Iterable[Run]) -> int:
    """Return the number of sequences in the runs."""
    return sum(last - first + 1 for first, last in runs)


def head(runs: Sequence[Run], size: int) -> list[Run]:
    """Return the first ``size`` sequences of ascending runs."""
    taken: list[Run] = []
    for first, last in runs:
        if size <= 0:
            break
        taken.append((first, min(last, first + size - 1)))
        size -= last - first + 1
    return taken


def below(runs: Iterable[Run], limit: int) -> list[Run]:
    """Return the part of the runs that is smaller than ``limit``."""
    return [(first, min(last, limit - 1)) for first, last in runs if first < limit]


def above(runs: Iterable[Run], limit: int) -> list[Run]:
    """Return the part of the runs that is ``limit`` or more."""
    return [(max(first, limit), last) for first, last in runs if last >= limit]


def each(runs: Iterable[Run]) -> Iterator[int]:
    """Yield every sequence."""
    for first, last in runs:
        yield from range(first, last + 1)


def inside(values: Sequences, runs: Sequence[Run]) -> npt.NDArray[np.bool_]:
    """Return for each value whether one of the disjoint, ascending ``runs`` holds it."""
    if not runs:
        return np.zeros(len(values), dtype=bool)
    firsts = np.array([first for first, _ in runs], dtype=np.int64)
    lasts = np.array([last for _, last in runs], dtype=np.int64)
    at = np.searchsorted(firsts, values, side="right") - 1
    held: npt.NDArray[np.bool_] = (at >= 0) & (values <= lasts[at])
    return held


def displaced(order: Sequences) -> list[int]:
    """Return the fewest values without which ``order`` ascends strictly, in ascending order.

    They are the values outside a longest increasing subsequence (patience sorting, Schensted 1961).
    """
    if len(order) < 2 or bool((np.diff(order) > 0).all()):
        return []
    values: list[int] = order.tolist()
    tops: list[int] = []  # the smallest last value of an increasing subsequence of each length
    places: list[int] = []  # index in ``values`` of each of them
    before: list[int] = []  # index of the value before each value
    for place, value in enumerate(values):
        length = bisect_left(tops, value)
        before.append(places[length - 1] if length else -1)
        tops[length : length + 1] = [value]
        places[length : length + 1] = [place]
    kept: set[int] = set()
    place = places[-1]
    while place >= 0:
        kept.add(place)
        place = before[place]
    return sorted(value for place, value in enumerate(values) if place not in kept)
