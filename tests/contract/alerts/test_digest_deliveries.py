"""A digest on its way: once to each subscription, and what each channel makes of it."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_structured_event
from cloudevents.core.formats.json import JSONFormat
from standardwebhooks import Webhook

from alerts.deliveries.channels.mail import MailServer
from alerts.deliveries.delivery_store import DeliveryStore
from alerts.deliveries.digest_outbox import DigestDeliveries, digest_delivery_id
from alerts.subscriptions.channel import AlertmanagerChannel, Channel, MailChannel, PagerDutyChannel
from steadyline.clock import ManualClock, SystemClock
from steadyline.contracts.alert_digest import AlertDigest
from tests.support.alert_outbox import DelivererBench, OutboxBench, an_alert, incident_of
from tests.support.smtp_sink import smtp_sink
from tests.support.webhook_receiver import PlannedAnswer, webhook_receiver

ID = "d" * 32
BEGIN = ManualClock().now()


def a_digest(**fields: Any) -> AlertDigest:
    """Return a digest of three incidents, of which one is over."""
    known: dict[str, Any] = {
        "id": ID,
        "reason": "schedule",
        "title": "3 incidents: 1 critical, 2 warning",
        "since": BEGIN,
        "until": BEGIN + timedelta(hours=1),
        "alerts": [
            an_alert(incident=incident_of(1), change="resolved", state="resolved", severity="critical"),
            an_alert(incident=incident_of(2)),
            an_alert(incident=incident_of(3), camera=None, summary="<b>lag</b>\n& more"),
        ],
        "left_out": 7,
    }
    return AlertDigest(**{**known, **fields})


@pytest.fixture
def outbox(tmp_path: Path) -> OutboxBench:
    return OutboxBench.on_file(tmp_path / "alerts.db", SystemClock())


def enqueue(outbox: OutboxBench, *subscriptions: str, digest: AlertDigest | None = None) -> None:
    with outbox.database.transaction() as session:
        for one in subscriptions:
            DigestDeliveries().enqueue_digest(session, one, digest or a_digest(), outbox.clock.now())


def deliver(outbox: OutboxBench, channel: Channel) -> str:
    """Send the digest through a channel and return the secret of its subscription."""
    subscription, secret = outbox.subscribe(channel, name="on call")
    enqueue(outbox, subscription.id)
    DelivererBench(outbox).settle()
    return secret


def test_a_webhook_gets_a_digest_as_an_event_of_its_own_type_signed_like_the_rest(
    outbox: OutboxBench,
) -> None:
    with webhook_receiver() as receiver:
        subscription, secret = outbox.subscribe(receiver.url)
        enqueue(outbox, subscription.id)
        DelivererBench(outbox).settle()
    [post] = receiver.seen
    Webhook(secret).verify(post.body, post.headers)
    event = from_structured_event(HTTPMessage(post.headers, post.body), JSONFormat())
    assert (event.get_id(), event.get_type()) == (ID, "com.steadyline.alert-digest.v1")
    assert event.get_subject() == subscription.id
    assert AlertDigest.model_validate(event.get_data()) == a_digest()
    assert post.headers["webhook-id"] == digest_delivery_id(subscription.id, ID)


def test_each_subscription_gets_a_digest_once_and_an_empty_one_is_not_sent(outbox: OutboxBench) -> None:
    with webhook_receiver() as receiver:
        one, two = (outbox.subscribe(receiver.url)[0].id for _ in range(2))
        enqueue(outbox, one, two, one)
        enqueue(outbox, one)
        enqueue(outbox, one, digest=a_digest(id="e" * 32, alerts=[]))
        DelivererBench(outbox).settle()
    assert sorted(receiver.ids()) == sorted(digest_delivery_id(to, ID) for to in (one, two))


def test_a_digest_is_tried_again_and_sent_again_like_any_delivery(tmp_path: Path) -> None:
    outbox, statuses = OutboxBench.on_file(tmp_path / "alerts.db"), [500, 200, 200]
    with webhook_receiver(lambda _: PlannedAnswer(statuses.pop(0))) as receiver:
        subscription, _ = outbox.subscribe(receiver.url)
        enqueue(outbox, subscription.id)
        DelivererBench(outbox).settle(timedelta(seconds=1))
        [row] = outbox.deliveries()
        assert (row.digest, row.change, row.incident, row.state) == (ID, None, None, "delivered")
        with outbox.database.transaction() as session:
            assert DeliveryStore().redeliver(session, row.id, outbox.clock.now())
        DelivererBench(outbox).settle()
    assert receiver.ids() == [digest_delivery_id(subscription.id, ID)] * 3


def test_alertmanager_s_readers_see_a_digest_as_one_group_of_alerts(outbox: OutboxBench) -> None:
    with webhook_receiver() as receiver:
        secret = deliver(outbox, AlertmanagerChannel(url=receiver.url))
    [post] = receiver.seen
    Webhook(secret).verify(post.body, post.headers)
    group = json.loads(post.body)
    assert (group["status"], group["truncatedAlerts"], group["groupLabels"]) == ("firing", 7, {"digest": ID})
    assert [one["status"] for one in group["alerts"]] == ["resolved", "firing", "firing"]
    assert group["commonLabels"] == {"alertname": "anomaly", "line": "line-1", "product": "cell"}
    assert [one["labels"]["incident"] for one in group["alerts"]] == [incident_of(n) for n in (1, 2, 3)]


def test_pagerduty_s_readers_see_a_digest_as_one_event_as_serious_as_what_stands(
    outbox: OutboxBench,
) -> None:
    with webhook_receiver() as receiver:
        secret = deliver(outbox, PagerDutyChannel(url=receiver.url))
    event = json.loads(receiver.seen[0].body)
    assert (event["routing_key"], event["event_action"], event["dedup_key"]) == (secret, "trigger", ID)
    assert event["payload"]["severity"] == "warning"  # the critical one is over
    assert event["payload"]["summary"] == "3 incidents: 1 critical, 2 warning"
    details = event["payload"]["custom_details"]
    assert (details["left_out"], len(details["alerts"])) == (7, 3)


def test_a_mail_has_a_digest_as_a_table_in_which_nothing_is_markup(outbox: OutboxBench) -> None:
    with smtp_sink() as sink:
        subscription, _ = outbox.subscribe(MailChannel(to=("ann@plant.example",)))
        enqueue(outbox, subscription.id)
        server = MailServer("127.0.0.1", sink.port, "steadyline@plant.example", security="none")
        DelivererBench(outbox, mail=server).settle()
    message = sink.seen[0].message
    assert message["Subject"] == "[line-1] 3 incidents: 1 critical, 2 warning"
    plain, html = message.get_body(("plain",)), message.get_body(("html",))
    assert plain is not None
    assert html is not None
    text, page = plain.get_content(), html.get_content()
    assert page.count("<tr>") == 4
    assert "&lt;b&gt;lag&lt;/b&gt; &amp; more" in page
    for incident in (1, 2, 3):
        assert incident_of(incident) in text
        assert incident_of(incident) in page
    assert "7 more" in text
    assert "7 more" in page
