"""A long hold is not ready, and is logged with its reason once a minute."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from steadyline.clock import ManualClock
from steadyline.telemetry.health import ServiceHealth
from steadyline.telemetry.holds import Held, HoldWatch

AWAY = Held("store_unavailable", "no space left on device")


class Bench:
    """A watch on a clock that is moved by hand, and what it logs."""

    def __init__(self, log: list[Any]) -> None:
        self.clock, self.log = ManualClock(), log
        self.health = ServiceHealth(self.clock)
        self.health.set_ready("start", True)
        self.watch = HoldWatch(self.health, self.clock)

    def hold(self, seconds: int, held: Held | None = AWAY) -> None:
        """Turn once a second."""
        for _ in range(seconds):
            self.watch.note("evidence", held)
            self.clock.advance(timedelta(seconds=1))


@pytest.fixture
def bench() -> Iterator[Bench]:
    with capture_logs() as log:
        yield Bench(cast(list[Any], log))


def test_a_short_hold_is_no_news(bench: Bench) -> None:
    for _ in range(20):
        bench.hold(9)
        bench.hold(1, None)
    assert bench.health.ready()[0]
    assert bench.log == []


def test_a_long_hold_is_not_ready_with_its_reason_until_it_ends(bench: Bench) -> None:
    bench.hold(12)
    assert bench.health.ready() == (
        False,
        {"ready": False, "waiting_for": {"evidence": "store_unavailable"}},
    )
    bench.hold(1, None)
    assert bench.health.ready()[0]


def test_a_long_hold_is_logged_once_a_minute_with_what_was_met_and_its_end_too(bench: Bench) -> None:
    bench.hold(200)
    bench.hold(1, None)
    *said, end = bench.log
    assert [row["seconds"] for row in said] == [10, 70, 130, 190]
    assert {(row["event"], row["reason"], row["error"]) for row in said} == {
        ("held", "store_unavailable", "no space left on device")
    }
    assert (end["event"], end["seconds"]) == ("hold_ended", 200)


def test_each_part_is_held_for_itself(bench: Bench) -> None:
    for _ in range(12):
        bench.watch.note("frames:a", Held("no_live_model"))
        bench.watch.note("frames:b", None)
        bench.clock.advance(timedelta(seconds=1))
    assert bench.health.ready()[1]["waiting_for"] == {"frames:a": "no_live_model"}
