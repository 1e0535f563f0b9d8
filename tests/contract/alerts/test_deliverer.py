"""From the outbox to endpoints, slow, dead and flapping ones among them."""

import threading
from collections import defaultdict
from datetime import timedelta
from pathlib import Path

import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_structured_event
from cloudevents.core.formats.json import JSONFormat
from standardwebhooks import Webhook, WebhookVerificationError

from alerts.deliveries.claims import RetryRules
from alerts.deliveries.deliverer import DelivererLimits
from alerts.deliveries.http_client import HttpLimits
from alerts.deliveries.outbox import delivery_id
from alerts.subscriptions.filter import SubscriptionFilter
from steadyline.clock import ManualClock, SystemClock
from steadyline.contracts.alert import Alert
from tests.support.alert_outbox import (
    PATIENT_BREAKER,
    DelivererBench,
    OutboxBench,
    Wish,
    an_alert,
    incident_of,
)
from tests.support.eventually import eventually
from tests.support.webhook_receiver import PlannedAnswer, PostSeen, webhook_receiver

SECOND = timedelta(seconds=1)
TRACE = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"


@pytest.fixture
def outbox(tmp_path: Path) -> OutboxBench:
    return OutboxBench.on_file(tmp_path / "alerts.db")


def the_clock(outbox: OutboxBench) -> ManualClock:
    assert isinstance(outbox.clock, ManualClock)
    return outbox.clock


def test_a_webhook_is_verified_and_read_by_the_libraries_of_others(tmp_path: Path) -> None:
    outbox = OutboxBench.on_file(tmp_path / "alerts.db", SystemClock())
    with webhook_receiver() as receiver:
        subscription, secret = outbox.subscribe(receiver.url)
        _, other_secret = outbox.subscribe("http://127.0.0.1:1/", SubscriptionFilter(kinds={"lag"}))
        alert = an_alert(why="größer als 3σ")
        outbox.write([alert], TRACE)
        DelivererBench(outbox).settle()
    [post] = receiver.seen
    Webhook(secret).verify(post.body, post.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(other_secret).verify(post.body, post.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(post.body.replace(b"warning", b"infoxxx"), post.headers)
    event = from_structured_event(HTTPMessage(post.headers, post.body), JSONFormat())
    assert event.get_id() == f"{alert.incident}/1"
    assert event.get_type() == "com.steadyline.alert.v1"
    assert event.get_source() == "/steadyline/line-1"
    assert event.get_subject() == alert.incident
    assert Alert.model_validate(event.get_data()) == alert
    assert post.headers["webhook-id"] == delivery_id(subscription.id, alert.incident, 1)
    assert event.get_extension("traceparent") == post.headers["traceparent"]
    assert post.headers["traceparent"].split("-")[1] == TRACE.split("-")[1]


def test_a_trace_that_is_none_begins_another_one_and_no_header(outbox: OutboxBench) -> None:
    with webhook_receiver() as receiver:
        outbox.subscribe(receiver.url)
        outbox.write([an_alert()], "x\r\nEvil: 1")
        DelivererBench(outbox).settle()
    assert "evil" not in receiver.seen[0].headers
    assert len(receiver.seen[0].headers["traceparent"]) == 55


def test_only_subscriptions_whose_filter_takes_a_change_are_told(outbox: OutboxBench) -> None:
    with webhook_receiver() as all_of_it, webhook_receiver() as critical:
        outbox.subscribe(all_of_it.url)
        outbox.subscribe(critical.url, SubscriptionFilter(least_severity="critical"))
        silent, _ = outbox.subscribe(all_of_it.url + "/disabled")
        with outbox.database.transaction() as session:
            outbox.store.replace(session, silent.id, 1, Wish("silent", silent.channel, enabled=False))
        outbox.change(1, 1)
        outbox.change(2, 1, severity="critical")
        outbox.change(3, 1, notify=False)
        DelivererBench(outbox).settle()
    assert sorted(all_of_it.changes()) == [(incident_of(1), 1), (incident_of(2), 1)]
    assert critical.changes() == [(incident_of(2), 1)]


def test_what_is_rolled_back_is_not_delivered(outbox: OutboxBench) -> None:
    outbox.subscribe("http://127.0.0.1:1/")
    with pytest.raises(KeyError), outbox.database.transaction():
        raise KeyError
    assert outbox.states() == []


def test_a_failure_is_tried_again_with_the_same_id_until_it_is_taken(outbox: OutboxBench) -> None:
    statuses = [500, 503, 404, 200]
    with webhook_receiver(lambda _: PlannedAnswer(statuses.pop(0))) as receiver:
        outbox.subscribe(receiver.url)
        outbox.change()
        DelivererBench(outbox).settle(step=timedelta(seconds=30))
    assert len(receiver.ids()) == 4
    assert len(set(receiver.ids())) == 1
    [row] = outbox.deliveries()
    assert (row.state, row.attempts, row.last_status, row.last_reason) == ("delivered", 4, 200, None)
    assert row.answer_head == "ok"


def test_retry_after_is_waited_for_by_all_that_goes_to_the_endpoint(outbox: OutboxBench) -> None:
    answers = [PlannedAnswer(429, {"retry-after": "300"})]
    with webhook_receiver(lambda _: answers.pop() if answers else PlannedAnswer()) as receiver:
        outbox.subscribe(receiver.url)
        outbox.change(1)
        bench = DelivererBench(outbox)
        bench.turn_until(lambda: outbox.deliveries()[0].last_status == 429)
        outbox.change(2)
        the_clock(outbox).advance(timedelta(seconds=299))
        for _ in range(3):
            assert bench.deliverer.turn() == 0
        the_clock(outbox).advance(timedelta(seconds=1))
        bench.settle()
    assert len(receiver.seen) == 3


def test_an_endpoint_that_is_gone_gets_nothing_twice(outbox: OutboxBench) -> None:
    with webhook_receiver(lambda _: PlannedAnswer(410)) as receiver:
        outbox.subscribe(receiver.url)
        outbox.change()
        DelivererBench(outbox).settle()
    [row] = outbox.deliveries()
    assert (row.state, row.last_reason, len(receiver.seen)) == ("dead", "endpoint_gone", 1)


def test_what_nobody_takes_until_the_deadline_is_dead_and_says_why(outbox: OutboxBench) -> None:
    outbox.subscribe("http://127.0.0.1:1/")
    outbox.change()
    outbox.change(1, 2)
    DelivererBench(outbox).settle(step=timedelta(minutes=2))
    for row in outbox.deliveries():
        assert (row.state, row.last_reason) == ("dead", "deadline_passed")
    assert "no connection" in (outbox.deliveries()[0].last_error or "")


def test_a_change_waits_for_the_earlier_one_of_its_incident_and_for_no_other(outbox: OutboxBench) -> None:
    def refuse_first(post: PostSeen) -> PlannedAnswer:
        failing = post.alert["incident"] == incident_of(1) and post.alert["sequence"] == 1
        return PlannedAnswer(500 if failing and the_clock(outbox).monotonic() < 60 else 200)

    with webhook_receiver(refuse_first) as receiver:
        outbox.subscribe(receiver.url)
        bench = DelivererBench(outbox, limits=DelivererLimits(breaker=PATIENT_BREAKER))
        for incident, sequence in ((1, 1), (1, 2), (2, 1), (2, 2)):
            outbox.change(incident, sequence)
        bench.turn_until(lambda: outbox.states().count("delivered") == 2, step=SECOND)
        assert outbox.states() == ["pending", "pending", "delivered", "delivered"]
        bench.settle(step=timedelta(seconds=30))
    first = [sequence for incident, sequence in receiver.changes() if incident == incident_of(1)]
    assert first == sorted(first)
    assert first[-1] == 2


def test_a_dead_change_lets_the_next_one_pass(outbox: OutboxBench) -> None:
    with webhook_receiver(
        lambda post: PlannedAnswer(410 if post.alert["sequence"] == 1 else 200)
    ) as receiver:
        outbox.subscribe(receiver.url)
        outbox.change(1, 1)
        outbox.change(1, 2)
        DelivererBench(outbox).settle(step=SECOND)
    assert outbox.states() == ["dead", "delivered"]


def test_one_that_hangs_delays_no_other(outbox: OutboxBench) -> None:
    over = threading.Event()

    def hang(_: PostSeen) -> PlannedAnswer:
        over.wait(30)
        return PlannedAnswer()

    with webhook_receiver(hang) as hanging, webhook_receiver() as well:
        outbox.subscribe(hanging.url)
        outbox.subscribe("http://127.0.0.1:1/")
        outbox.subscribe(well.url)
        for number in range(30):
            outbox.change(number)
        bench = DelivererBench(outbox)
        bench.turn_until(lambda: len(well.seen) == 30)
        assert len(hanging.seen) <= bench.limits.per_endpoint
        over.set()
        bench.turn_until(lambda: outbox.states().count("delivered") == 60)


def test_a_dead_endpoint_is_left_alone_and_found_again(outbox: OutboxBench) -> None:
    is_well = threading.Event()
    with webhook_receiver(lambda _: PlannedAnswer(200 if is_well.is_set() else 500)) as receiver:
        outbox.subscribe(receiver.url)
        for number in range(40):
            outbox.change(number)
        bench = DelivererBench(outbox)
        bench.turn_until(lambda: len(receiver.seen) >= 5)
        bench.turn_until(lambda: not sum(bench.deliverer._in_flight.values()))
        so_far = len(receiver.seen)
        assert so_far <= 5 + bench.limits.per_endpoint
        for _ in range(5):
            assert bench.deliverer.turn() == 0
        is_well.set()
        bench.settle(step=timedelta(seconds=5))
    assert len(set(receiver.ids())) == 40
    assert len(receiver.seen) == so_far + 40


@pytest.mark.parametrize("seed", range(3))
def test_order_holds_under_any_failures_and_several_deliverers(tmp_path: Path, seed: int) -> None:
    import random

    outbox, chance, lock = OutboxBench.on_file(tmp_path / "alerts.db"), random.Random(seed), threading.Lock()
    taken: dict[str, list[int]] = defaultdict(list)

    def answer(post: PostSeen) -> PlannedAnswer:
        with lock:
            if chance.random() < 0.4:
                return PlannedAnswer(chance.choice([500, 429, 302]), {"retry-after": "1"})
            taken[post.alert["incident"]].append(post.alert["sequence"])
            # it was taken, and its sender is told otherwise
            return PlannedAnswer(502 if chance.random() < 0.2 else 200)

    limits = DelivererLimits(breaker=PATIENT_BREAKER)
    with webhook_receiver(answer) as receiver:
        outbox.subscribe(receiver.url)
        outbox.write(
            [an_alert(incident=incident_of(n), sequence=s) for s in range(1, 6) for n in range(6)],
        )
        rules = RetryRules(longest=timedelta(seconds=20))  # nothing dies of its deadline
        benches = [DelivererBench(outbox, name, limits, rules) for name in ("one", "two")]

        def both() -> bool:
            benches[1].deliverer.turn()
            return "pending" not in outbox.states()

        benches[0].turn_until(both, step=timedelta(seconds=5), within=60)
    assert set(outbox.states()) == {"delivered"}
    for sequences in taken.values():
        assert sequences == sorted(sequences)
        assert set(sequences) == {1, 2, 3, 4, 5}


def test_two_deliverers_at_once_deliver_each_change_once(tmp_path: Path) -> None:
    outbox = OutboxBench.on_file(tmp_path / "alerts.db", SystemClock())
    with webhook_receiver() as receiver:
        outbox.subscribe(receiver.url)
        outbox.write([an_alert(incident=incident_of(n), sequence=s) for s in (1, 2) for n in range(60)])
        with DelivererBench(outbox, "one").running(), DelivererBench(outbox, "two").running():
            eventually(lambda: "pending" not in outbox.states(), within=60)
    assert len(receiver.ids()) == len(set(receiver.ids())) == 120
    for number in range(60):
        assert [s for i, s in receiver.changes() if i == incident_of(number)] == [1, 2]


def test_what_a_dead_process_had_claimed_is_delivered_by_another_once_the_lease_is_over(
    outbox: OutboxBench,
) -> None:
    with webhook_receiver() as receiver:
        outbox.subscribe(receiver.url)
        outbox.change(1, 1)
        outbox.change(1, 2)
        dead = DelivererBench(outbox, "dead")
        with outbox.database.transaction() as session:
            [subscription] = dead.deliverer._claims.due(session, outbox.clock.now())
            assert len(dead.deliverer._claims.claim(session, subscription, 4, outbox.clock.now())) == 1
        bench = DelivererBench(outbox, "alive")
        the_clock(outbox).advance(RetryRules().lease - SECOND)
        for _ in range(3):
            assert bench.deliverer.turn() == 0
        bench.settle(step=SECOND)
    assert [sequence for _, sequence in receiver.changes()] == [1, 2]


def test_what_is_claimed_when_a_process_is_told_to_end_is_free_at_once(tmp_path: Path) -> None:
    outbox, over = OutboxBench.on_file(tmp_path / "alerts.db", SystemClock()), threading.Event()

    def hang(_: PostSeen) -> PlannedAnswer:
        over.wait(30)
        return PlannedAnswer()

    with webhook_receiver(hang) as receiver:
        outbox.subscribe(receiver.url)
        outbox.change()
        limits = DelivererLimits(patience=timedelta(seconds=0.2))
        with DelivererBench(outbox, limits=limits, http=HttpLimits(timedelta(seconds=20))).running():
            eventually(lambda: receiver.seen)
        [row] = outbox.deliveries()
        over.set()
    assert (row.state, row.claimed_by) == ("pending", None)
