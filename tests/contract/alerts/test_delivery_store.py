"""What people see of the outbox, and what they send again."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from alerts.deliveries.delivery_store import DeliveryStore
from alerts.deliveries.sample import SampleDelivery
from alerts.subscriptions.filter import SubscriptionFilter
from steadyline.clock import ManualClock
from tests.support.alert_outbox import DelivererBench, OutboxBench, an_alert, incident_of
from tests.support.webhook_receiver import PlannedAnswer, webhook_receiver

MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class Wanted:
    """Which deliveries."""

    subscription: str | None = None
    incident: str | None = None
    state: str | None = None


@pytest.fixture
def outbox(tmp_path: Path) -> OutboxBench:
    return OutboxBench.on_file(tmp_path / "alerts.db")


def test_pages_go_through_what_is_wanted_from_the_newest_on(outbox: OutboxBench) -> None:
    one, _ = outbox.subscribe("http://127.0.0.1:1/")
    outbox.subscribe("http://127.0.0.1:1/", SubscriptionFilter(kinds={"lag"}))
    assert isinstance(outbox.clock, ManualClock)
    for number in range(7):
        outbox.change(number)
        if number % 2:
            outbox.clock.advance(MINUTE)
    store, seen, after = DeliveryStore(), list[tuple[datetime, str]](), None
    with outbox.database.transaction() as session:
        while page := store.page(session, Wanted(subscription=one.id, state="pending"), after, 2):
            seen += [(row.created_at, row.id) for row in page]
            after = seen[-1]
        assert seen == sorted(seen, reverse=True)
        assert len(set(seen)) == 7
        [row] = store.page(session, Wanted(incident=incident_of(3)), None, 10)
        assert store.find(session, row.id) is row
        assert store.page(session, Wanted(state="dead"), None, 10) == []
        assert store.find(session, "0" * 32) is None


def test_a_dead_delivery_is_sent_again_under_its_id(outbox: OutboxBench) -> None:
    statuses = [410, 200]
    with webhook_receiver(lambda _: PlannedAnswer(statuses.pop(0))) as receiver:
        outbox.subscribe(receiver.url)
        outbox.change()
        bench = DelivererBench(outbox)
        bench.settle()
        [dead] = outbox.deliveries()
        assert isinstance(outbox.clock, ManualClock)
        outbox.clock.advance(timedelta(days=30))  # long after its deadline
        with outbox.database.transaction() as session:
            assert DeliveryStore().redeliver(session, dead.id, outbox.clock.now())
            assert not DeliveryStore().redeliver(session, "0" * 32, outbox.clock.now())
        bench.settle()
    assert outbox.states() == ["delivered"]
    assert receiver.ids() == [dead.id, dead.id]


def test_a_replay_sends_what_notified_within_the_span_and_passes_the_filter(outbox: OutboxBench) -> None:
    begin = outbox.clock.now()
    alerts = [
        an_alert(incident=incident_of(1), at=begin, severity="critical"),
        an_alert(incident=incident_of(1), sequence=2, at=begin + MINUTE, severity="critical"),
        an_alert(incident=incident_of(2), at=begin + MINUTE),  # not critical
        an_alert(incident=incident_of(3), at=begin + MINUTE, severity="critical", notify=False),
        an_alert(incident=incident_of(4), at=begin + 2 * MINUTE, severity="critical"),  # behind the span
    ]
    outbox.write(alerts)
    with webhook_receiver() as receiver:
        late, _ = outbox.subscribe(receiver.url, SubscriptionFilter(least_severity="critical"))
        for _ in range(2):
            with outbox.database.transaction() as session:
                span = (begin, begin + 2 * MINUTE)
                assert DeliveryStore().replay(session, late.id, span, outbox.clock.now()) == 2
                assert DeliveryStore().replay(session, "0" * 32, span, outbox.clock.now()) == 0
            DelivererBench(outbox).settle()
    assert receiver.changes() == [(incident_of(1), 1), (incident_of(1), 2)] * 2
    assert receiver.ids()[:2] == receiver.ids()[2:]


def test_a_sample_is_the_newest_anomaly_under_an_id_of_its_own(outbox: OutboxBench) -> None:
    with webhook_receiver() as receiver:
        subscription, _ = outbox.subscribe(receiver.url)
        samples = SampleDelivery(outbox.database, DelivererBench(outbox).senders, outbox.clock)
        assert samples.send_sample(subscription.id).is_delivered
        outbox.write([an_alert(notify=False, summary="Anomalies on east-9.")])
        sent = samples.send_sample(subscription.id)
    assert (sent.is_delivered, sent.status, sent.reason, sent.answer_head) == (True, 200, None, "ok")
    first, second = (post.alert for post in receiver.seen)
    assert first["summary"] == "Sample: no anomaly was seen so far"
    assert second["summary"] == "Sample: Anomalies on east-9."
    assert second["anomaly"]["worst_frame"] == "east-1/1/7"
    assert second["incident"] not in (incident_of(1), first["incident"])
    assert outbox.states() == []


def test_a_sample_that_fails_says_why(outbox: OutboxBench) -> None:
    with webhook_receiver(lambda _: PlannedAnswer(403, body=b"who are you")) as receiver:
        subscription, _ = outbox.subscribe(receiver.url)
        samples = SampleDelivery(outbox.database, DelivererBench(outbox).senders, outbox.clock)
        sent = samples.send_sample(subscription.id)
    assert (sent.is_delivered, sent.status, sent.reason) == (False, 403, "endpoint_refuses")
    assert sent.answer_head == "who are you"
    assert samples.send_sample("0" * 32).reason == "subscription_unknown"
