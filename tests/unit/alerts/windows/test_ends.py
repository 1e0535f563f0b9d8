"""A window that is over is noted once, with one summary of what still stands."""

import threading
from datetime import timedelta

import pytest
from sqlalchemy import select

from alerts.database.connection import Database
from alerts.database.tables import DeliveryRow
from alerts.deliveries.digest_outbox import DigestDeliveries
from alerts.incidents import acts
from alerts.windows.ends import SETTLE, WindowEnds
from alerts.windows.window import WindowSchedule, WindowScope
from tests.support.incidents import DAY, an_incident
from tests.support.window_steps import WindowBench, changed

IN_IT = DAY + timedelta(minutes=90)
AFTER = DAY + timedelta(hours=2) + SETTLE


@pytest.fixture
def bench(database: Database) -> WindowBench:
    return WindowBench(database)


def opened_in_it(bench: WindowBench, *begins: str) -> None:
    """Write the opening of an incident each within the window; the first letters name its camera."""
    bench.clock.set(IN_IT)
    incidents = [an_incident(began, camera=began[:2]) for began in begins]
    words = bench.write(*(changed(one, "opened", IN_IT) for one in incidents))
    assert set(words) == {"window"}


def test_what_still_stands_is_told_once_to_whoever_takes_any_of_it(bench: WindowBench) -> None:
    window = bench.make()
    everything, second, _ = bench.subscribe(), bench.subscribe(cameras=["c2"]), bench.subscribe(cameras=["x"])
    opened_in_it(bench, "c1/7/1", "c2/7/1")
    over = an_incident("c1/7/2")
    bench.write(changed(over, "opened", IN_IT), changed(over, "resolved", IN_IT, state="resolved"))
    task = bench.ends()
    bench.clock.set(AFTER - timedelta(seconds=1))
    assert task.turn() == 0
    bench.clock.set(AFTER)
    assert task.turn() == 2
    assert bench.ends().turn() == 0
    told = {subscription: digest for subscription, digest in bench.digests.given}
    assert set(told) == {everything, second}
    whole = told[everything]
    assert (whole.since, whole.until) == (DAY + timedelta(hours=1), DAY + timedelta(hours=2))
    assert whole.title == "The maintenance window oil change is over: 2 incidents still stand"
    assert (whole.reason, whole.left_out) == ("window_ended", 0)
    assert sorted(alert.camera or "" for alert in whole.alerts) == ["c1", "c2"]
    assert [alert.camera for alert in told[second].alerts] == ["c2"]
    assert whole.id != told[second].id
    assert bench.told_after() == [(1, window.id), (1, window.id), (1, None), (2, None)]


def test_the_end_of_what_the_summary_told_of_is_notified(bench: WindowBench) -> None:
    bench.make()
    bench.subscribe()
    opened_in_it(bench, "c1/7/1")
    bench.clock.set(AFTER)
    assert bench.ends().turn() == 1
    assert bench.write(changed(an_incident("c1/7/1"), "resolved", AFTER, state="resolved")) == [None]


def test_a_window_that_held_nothing_ends_without_a_word(bench: WindowBench) -> None:
    bench.make()
    bench.subscribe()
    bench.clock.set(AFTER)
    assert bench.ends().turn() == 0
    assert bench.digests.given == []


def test_what_a_person_has_acted_on_is_in_no_summary(bench: WindowBench) -> None:
    bench.make()
    bench.subscribe()
    opened_in_it(bench, "c1/7/1")
    assert bench.write(acts.acknowledge(an_incident("c1/7/1"), "ada", IN_IT)) == [None]
    bench.clock.set(AFTER)
    assert bench.ends().turn() == 0


def test_what_comes_after_the_summary_is_notified_though_it_is_of_the_window(bench: WindowBench) -> None:
    bench.make()
    bench.clock.set(AFTER)
    bench.ends().turn()
    assert bench.write(changed(an_incident(), "opened", IN_IT)) == [None]


def test_what_is_read_late_of_a_span_that_a_window_was_made_for_afterwards_is_notified(
    bench: WindowBench,
) -> None:
    """Such a window is over already, and no summary of it comes."""
    bench.clock.set(AFTER - SETTLE + timedelta(seconds=1))
    bench.make()
    assert bench.write(changed(an_incident(), "opened", IN_IT)) == [None]


def test_what_is_read_late_of_a_time_before_the_last_is_notified_once_that_was_summed_up(
    bench: WindowBench,
) -> None:
    """The rule may have no further time, in whose summary it could be."""
    twice = WindowSchedule(
        start=DAY.replace(tzinfo=None), duration_minutes=20, zone="UTC", rule="FREQ=HOURLY;COUNT=2"
    )
    bench.make(schedule=twice)
    first = changed(an_incident(), "opened", DAY + timedelta(minutes=10))
    bench.clock.set(DAY + timedelta(minutes=80) + SETTLE)
    bench.ends().turn()
    assert bench.write(first) == [None]


def test_a_window_that_is_ended_early_tells_then(bench: WindowBench) -> None:
    window = bench.make()
    bench.subscribe()
    opened_in_it(bench, "c1/7/1")
    bench.end(window)
    bench.clock.set(IN_IT + SETTLE)
    assert bench.ends().turn() == 1
    assert bench.digests.given[0][1].until == IN_IT


def test_what_another_window_holds_still_waits_for_the_end_of_that(bench: WindowBench) -> None:
    bench.make()
    longer = WindowSchedule(
        start=DAY.replace(tzinfo=None) + timedelta(minutes=100), duration_minutes=60, zone="UTC"
    )
    last = bench.make(schedule=longer, scope=WindowScope(cameras=["c1"]))
    bench.subscribe()
    opened_in_it(bench, "c1/7/1", "c2/7/1")
    bench.clock.set(AFTER)
    assert bench.ends().turn() == 1
    assert [alert.camera for alert in bench.digests.given[0][1].alerts] == ["c2"]
    bench.clock.set(DAY + timedelta(minutes=160) + SETTLE)
    assert bench.ends().turn() == 1
    assert [alert.camera for alert in bench.digests.given[1][1].alerts] == ["c1"]
    assert bench.told_after()[0] == (1, last.id)


def test_each_occurrence_of_a_window_that_recurs_has_its_summary(bench: WindowBench) -> None:
    nightly = WindowSchedule(
        start=DAY.replace(tzinfo=None) + timedelta(hours=1),
        duration_minutes=60,
        zone="UTC",
        rule="FREQ=DAILY",
    )
    bench.make(schedule=nightly)
    bench.subscribe()
    for day in range(3):
        bench.clock.set(IN_IT + timedelta(days=day))
        incident = an_incident(f"c1/7/{day}")
        assert bench.write(changed(incident, "opened", bench.clock.now())) == ["window"]
        bench.clock.set(AFTER + timedelta(days=day))
        assert bench.ends().turn() == 1
    assert len({digest.id for _, digest in bench.digests.given}) == 3
    assert [len(digest.alerts) for _, digest in bench.digests.given] == [1, 1, 1]


def test_a_process_that_has_just_begun_waits_for_what_is_on_its_way(bench: WindowBench) -> None:
    bench.make()
    bench.subscribe()
    opened_in_it(bench, "c1/7/1")
    bench.clock.set(AFTER + timedelta(minutes=5))
    task = WindowEnds(bench.database, bench.digests, bench.clock)
    assert task.turn() == 0
    bench.clock.advance(SETTLE)
    assert task.turn() == 1


def test_of_several_processes_one_tells(bench: WindowBench) -> None:
    for _ in range(3):
        bench.make(scope=WindowScope(cameras=["c1"]))
    bench.subscribe()
    opened_in_it(bench, "c1/7/1")
    bench.clock.set(AFTER)
    tasks = [bench.ends() for _ in range(4)]
    threads = [threading.Thread(target=task.turn) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(bench.digests.given) == 1


def test_a_summary_becomes_a_delivery_in_the_transaction_that_notes_the_end(bench: WindowBench) -> None:
    bench.make()
    own = bench.subscribe()
    opened_in_it(bench, "c1/7/1")
    bench.clock.set(AFTER - timedelta(days=1))
    task = WindowEnds(bench.database, DigestDeliveries(), bench.clock)
    bench.clock.set(AFTER)
    assert task.turn() == 1
    with bench.database.transaction() as session:
        (row,) = session.scalars(select(DeliveryRow))
        assert (row.subscription, row.incident, row.state, row.next_at) == (own, None, "pending", AFTER)
        assert row.digest is not None
