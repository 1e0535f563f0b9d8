"""A delivery of an escalation says so, and is not taken for the one that told of the same change before."""

import json
from pathlib import Path

import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_structured_event
from cloudevents.core.formats.json import JSONFormat
from standardwebhooks import Webhook

from alerts.database.tables import ChangeRow
from alerts.deliveries.channels.mail import MailServer
from alerts.deliveries.outbox import GIVE_UP_AFTER, delivery_id, new_delivery
from alerts.subscriptions.channel import AlertmanagerChannel, Channel, MailChannel, PagerDutyChannel
from steadyline.clock import SystemClock
from tests.support.alert_outbox import DelivererBench, OutboxBench, incident_of
from tests.support.smtp_sink import smtp_sink
from tests.support.webhook_receiver import webhook_receiver

ID = "e" * 32


@pytest.fixture
def outbox(tmp_path: Path) -> OutboxBench:
    return OutboxBench.on_file(tmp_path / "alerts.db", SystemClock())


def escalate(outbox: OutboxBench, channel: str | Channel) -> str:
    """Tell a subscription of a change, and of the same one as a step; return the subscription's secret."""
    subscription, secret = outbox.subscribe(channel)
    number = outbox.change()
    with outbox.database.transaction() as session:
        change = session.get_one(ChangeRow, number)
        row = new_delivery(subscription.id, change, outbox.clock.now(), GIVE_UP_AFTER)
        row.id, row.chain, row.step = ID, "Nacht", 2
        session.add(row)
    return secret


def test_an_event_says_which_step_of_which_chain_it_is_under_an_id_of_its_own(outbox: OutboxBench) -> None:
    with webhook_receiver() as receiver:
        secret = escalate(outbox, receiver.url)
        DelivererBench(outbox).settle()
        [own] = {row.subscription for row in outbox.deliveries()}
    posts = {post.headers["webhook-id"]: post for post in receiver.seen}
    assert set(posts) == {ID, delivery_id(own, incident_of(1), 1)}
    step = posts[ID]
    Webhook(secret).verify(step.body, step.headers)
    event = from_structured_event(HTTPMessage(step.headers, step.body), JSONFormat())
    assert (event.get_extension("escalationchain"), event.get_extension("escalationstep")) == ("Nacht", 2)
    assert (event.get_type(), event.get_subject()) == ("com.steadyline.alert.v1", incident_of(1))
    assert len({json.loads(post.body)["id"] for post in receiver.seen}) == 2
    assert "escalationstep" not in json.loads(posts[delivery_id(own, incident_of(1), 1)].body)


def test_on_call_tools_see_that_it_is_an_escalation(outbox: OutboxBench) -> None:
    with webhook_receiver() as receiver:
        escalate(outbox, AlertmanagerChannel(url=receiver.url))
        DelivererBench(outbox).settle()
    told = [json.loads(post.body)["alerts"][0]["annotations"].get("escalation") for post in receiver.seen]
    assert sorted(told, key=str) == [None, "escalation Nacht, step 2"]


def test_pagerduty_s_readers_see_it_at_the_same_incident(outbox: OutboxBench) -> None:
    with webhook_receiver() as receiver:
        escalate(outbox, PagerDutyChannel(url=receiver.url))
        DelivererBench(outbox).settle()
    events = [json.loads(post.body) for post in receiver.seen]
    assert {event["dedup_key"] for event in events} == {incident_of(1)}
    assert sorted(event["payload"]["summary"] for event in events) == [
        "Anomalies on east-1.",
        "escalation Nacht, step 2: Anomalies on east-1.",
    ]


def test_a_mail_says_it_in_its_subject(outbox: OutboxBench) -> None:
    with smtp_sink() as sink:
        escalate(outbox, MailChannel(to=("ann@plant.example",)))
        server = MailServer("127.0.0.1", sink.port, "line@plant.example", "none")
        DelivererBench(outbox, mail=server).settle()
    subjects = sorted(mail.message["Subject"] for mail in sink.seen)
    assert subjects == [
        "[line-1] escalation Nacht, step 2: warning: Anomalies on east-1.",
        "[line-1] warning: Anomalies on east-1.",
    ]
