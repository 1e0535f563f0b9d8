"""Digests out of the database: each change in one, whichever process makes it."""

import threading
from datetime import datetime, timedelta

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from typing_extensions import override

from alerts.database.connection import Database
from alerts.database.tables import CollectedRow, DigestRow
from alerts.deliveries.claims import DeliveryClaims
from alerts.deliveries.delivery_store import DeliveryStore
from alerts.deliveries.digest_outbox import DigestDeliveries
from alerts.digests.task import DigestTask
from alerts.subscriptions.channel import WebhookChannel
from alerts.subscriptions.digest_rule import DigestRule
from steadyline.clock import ManualClock
from steadyline.contracts.alert_digest import AlertDigest
from tests.support.alert_outbox import OutboxBench, Wish, incident_of

URL = "https://plant.example/hook"
HOURLY = DigestRule.model_validate({"every": "1h", "immediate_from": "critical"})
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


class DigestBench:
    """A subscription of a digest an hour, at the begin of its first span."""

    def __init__(self, database: Database) -> None:
        self.clock = ManualClock()
        self.outbox = OutboxBench(database, self.clock)
        self.own = self.outbox.subscribe(URL, digest=HOURLY)[0].id
        self.task = self.a_task()
        assert self.task.turn() == 0

    def a_task(self) -> DigestTask:
        """Return the task of another process."""
        return DigestTask(self.outbox.database, DigestDeliveries(), self.clock)

    def digests(self) -> list[AlertDigest]:
        """Return what was put into the outbox, in order."""
        with self.outbox.database.transaction() as session:
            rows = session.scalars(select(DigestRow.content)).all()
        return sorted((AlertDigest.decode(row.encode()) for row in rows), key=lambda one: one.until)

    def collected(self) -> int:
        """Return how many changes wait."""
        with self.outbox.database.transaction() as session:
            return session.scalar(select(func.count()).select_from(CollectedRow)) or 0


@pytest.fixture
def digest_bench(database: Database) -> DigestBench:
    return DigestBench(database)


def test_what_matches_is_told_together_when_the_hour_is_over(digest_bench: DigestBench) -> None:
    bench, begin = digest_bench, digest_bench.clock.now()
    bench.clock.advance(MINUTE)
    bench.outbox.change(1)
    bench.outbox.change(2)
    bench.outbox.change(1, 2, change="resolved", state="resolved")
    bench.clock.set(begin + HOUR - MINUTE)
    assert (bench.task.turn(), bench.outbox.states()) == (0, [])
    bench.clock.advance(2 * MINUTE)
    bench.outbox.change(3)  # of the next span
    assert bench.task.turn() == 1
    [digest] = bench.digests()
    assert {(one.incident, one.sequence) for one in digest.alerts} == {
        (incident_of(1), 2),
        (incident_of(2), 1),
    }
    assert (digest.since, digest.until, digest.left_out) == (begin, begin + HOUR, 0)
    [delivery] = bench.outbox.deliveries()
    assert (delivery.subscription, delivery.digest, delivery.change) == (bench.own, digest.id, None)
    assert bench.collected() == 1
    bench.clock.advance(HOUR)
    assert bench.task.turn() == 1
    assert [one.incident for one in bench.digests()[1].alerts] == [incident_of(3)]


def test_of_nothing_nothing_is_sent_and_what_is_critical_does_not_wait(digest_bench: DigestBench) -> None:
    bench = digest_bench
    bench.outbox.change(1, severity="critical")
    assert bench.outbox.states() == ["pending"]
    bench.clock.advance(3 * HOUR)
    assert bench.task.turn() == 0
    assert (bench.digests(), bench.collected()) == ([], 0)


def test_a_span_of_time_that_is_sent_again_comes_with_the_next_digest(digest_bench: DigestBench) -> None:
    bench, begin = digest_bench, digest_bench.clock.now()
    bench.outbox.change(1)
    bench.clock.advance(HOUR)
    assert bench.task.turn() == 1
    span = (begin, bench.clock.now())
    for _ in range(2):
        with bench.outbox.database.transaction() as session:
            assert DeliveryStore().replay(session, bench.own, span, bench.clock.now()) == 1
    bench.clock.advance(HOUR)
    assert bench.task.turn() == 1
    first, second = bench.digests()
    assert first.alerts == second.alerts
    assert second.since == begin


def test_who_wants_to_be_told_at_once_from_now_on_gets_what_was_collected(digest_bench: DigestBench) -> None:
    bench = digest_bench
    bench.outbox.change(1)
    with bench.outbox.database.transaction() as session:
        bench.outbox.store.replace(session, bench.own, 1, Wish("at once", WebhookChannel(url=URL)))
    bench.outbox.change(2)
    assert len(bench.outbox.states()) == 1
    assert bench.task.turn() == 1
    assert [one.incident for one in bench.digests()[0].alerts] == [incident_of(1)]
    assert bench.task.turn() == 0


def test_a_subscription_that_is_switched_off_is_told_of_what_it_had_collected_once_it_is_on(
    digest_bench: DigestBench,
) -> None:
    bench = digest_bench
    bench.outbox.change(1)
    hook = WebhookChannel(url=URL)
    with bench.outbox.database.transaction() as session:
        bench.outbox.store.replace(session, bench.own, 1, Wish("off", hook, enabled=False, digest=HOURLY))
    bench.clock.advance(HOUR)
    assert bench.task.turn() == 0
    with bench.outbox.database.transaction() as session:
        bench.outbox.store.replace(session, bench.own, 2, Wish("on", hook, digest=HOURLY))
    assert bench.task.turn() == 1


def test_a_digest_is_claimed_before_the_changes_that_wait_and_within_the_room(
    digest_bench: DigestBench,
) -> None:
    bench, claims = digest_bench, DeliveryClaims("one")
    bench.outbox.change(1)
    bench.clock.advance(HOUR)
    for number in range(2, 5):
        bench.outbox.change(number, severity="critical")
    assert bench.task.turn() == 1
    with bench.outbox.database.transaction() as session:
        assert claims.due(session, bench.clock.now()) == [bench.own]
        first = claims.claim(session, bench.own, 2, bench.clock.now())
        rest = claims.claim(session, bench.own, 9, bench.clock.now())
    assert [claim.digest is not None for claim in first + rest] == [True, False, False, False]
    assert first[0].digest == bench.digests()[0]
    assert first[0].alert == bench.digests()[0].alerts[-1]
    assert [claim.alert.incident for claim in first[1:] + rest] == [incident_of(n) for n in (2, 3, 4)]


class DyingDeliveries(DigestDeliveries):
    """Ends the process when it is about to commit."""

    @override
    def enqueue_digest(
        self, session: Session, subscription_id: str, digest: AlertDigest, now: datetime
    ) -> None:
        super().enqueue_digest(session, subscription_id, digest, now)
        raise DigestDied


class DigestDied(BaseException):
    """Nothing of the process runs any more."""


def test_a_process_that_dies_leaves_what_was_collected_to_the_next(digest_bench: DigestBench) -> None:
    bench = digest_bench
    bench.outbox.change(1)
    bench.clock.advance(HOUR)
    with pytest.raises(DigestDied):
        DigestTask(bench.outbox.database, DyingDeliveries(), bench.clock).turn()
    assert (bench.collected(), bench.digests()) == (1, [])
    assert bench.task.turn() == 1
    assert (bench.collected(), len(bench.digests())) == (0, 1)


def test_of_several_processes_one_makes_the_digest(digest_bench: DigestBench) -> None:
    bench = digest_bench
    for number in range(1, 30):
        bench.outbox.change(number)
    bench.clock.advance(HOUR)
    threads = [threading.Thread(target=bench.a_task().turn) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    bench.task.turn()
    [digest] = bench.digests()
    assert len(digest.alerts) == 29
