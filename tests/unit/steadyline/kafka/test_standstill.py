"""A position that stands while its topic goes on is said once a minute, and counted."""

import pytest
from kafka import TopicPartition
from structlog.testing import capture_logs

from steadyline.kafka.guards.standstill import HELD_AFTER, SAID_EVERY, StandstillWatch

PLACE, OTHER = TopicPartition("t", 0), TopicPartition("t", 1)
HELD, MINUTE = HELD_AFTER.total_seconds(), SAID_EVERY.total_seconds()


def said(watch: StandstillWatch, steps: list[tuple[float, int, int]]) -> list[float]:
    """Return when something is said of (moment, position, end)."""
    moments: list[float] = []
    for now, position, end in steps:
        with capture_logs() as logs:
            watch.look({PLACE: position, OTHER: 7}, {PLACE: end, OTHER: 7}, now)
        moments += [now] * len(logs)
    return moments


def test_who_stands_behind_an_open_transaction_says_so_once_a_minute() -> None:
    steps = [(float(now), 5, 6 + now) for now in range(0, 200, 5)]
    assert said(StandstillWatch(), steps) == [HELD, HELD + MINUTE, HELD + 2 * MINUTE]


@pytest.mark.parametrize("step", [(5, 5), (0, 0)], ids=["at the end", "empty"])
def test_who_has_read_all_stands_and_says_nothing(step: tuple[int, int]) -> None:
    assert said(StandstillWatch(), [(float(now), *step) for now in range(0, 200, 5)]) == []


def test_who_is_behind_and_advances_says_nothing() -> None:
    assert said(StandstillWatch(), [(float(now), now, 10_000) for now in range(0, 200, 5)]) == []


def test_it_says_with_what_and_from_where() -> None:
    watch = StandstillWatch()
    watch.look({PLACE: 5}, {PLACE: 9}, 0)
    with capture_logs() as logs:
        watch.look({PLACE: 5}, {PLACE: 9}, HELD)
    (entry,) = logs
    assert (entry["event"], entry["offset"], entry["end"]) == ("held_by_open_transaction", 5, 9)
    assert "transaction.timeout.ms" in entry["error"]
