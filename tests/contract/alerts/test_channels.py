"""What each channel makes of an alert, as whoever gets it reads it."""

import json
from base64 import b64decode
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from standardwebhooks import Webhook

from alerts.deliveries.channels.mail import MailServer
from alerts.deliveries.egress import EgressGuard, EgressRules
from alerts.deliveries.http_client import HttpClient
from alerts.deliveries.sample import SampleDelivery
from alerts.deliveries.trust import trusted_context
from alerts.subscriptions.channel import AlertmanagerChannel, MailChannel, PagerDutyChannel, WebhookChannel
from steadyline.clock import SystemClock
from steadyline.contracts.alert import BudgetFacts, DriftBin, DriftFacts
from steadyline.errors import InvalidConfiguration
from tests.support.alert_outbox import ANOMALY, DelivererBench, OutboxBench, Wish, an_alert, incident_of
from tests.support.smtp_sink import smtp_sink
from tests.support.tls import a_certificate, tls_server
from tests.support.webhook_receiver import PlannedAnswer, webhook_receiver

PICTURE, MAP = b"\xff\xd8\xff\xe0" + b"p" * 5_000, b"\x89PNG\r\n\x1a\n" + b"m" * 300
SHOWN = ANOMALY.model_copy(update={"picture_uri": "file:///s/frame.jpg", "map_uri": "file:///s/map.png"})
HURRY = timedelta(seconds=2)
STORE = {"file:///s/frame.jpg": PICTURE, "file:///s/map.png": MAP}


@pytest.fixture
def outbox(tmp_path: Path) -> OutboxBench:
    return OutboxBench.on_file(tmp_path / "alerts.db", SystemClock())


def test_an_event_has_picture_and_map_where_the_subscription_wants_them(outbox: OutboxBench) -> None:
    with webhook_receiver() as receiver:
        _, secret = outbox.subscribe(WebhookChannel(url=receiver.url, pictures=True))
        outbox.write([an_alert(anomaly=SHOWN)])
        DelivererBench(outbox, pictures=STORE).settle()
        outbox.change(2)
        DelivererBench(outbox, pictures=STORE).settle()
    shown, without = receiver.seen
    Webhook(secret).verify(shown.body, shown.headers)
    assert {name: b64decode(one["base64"]) for name, one in shown.alert["pictures"].items()} == {
        "picture": PICTURE,
        "map": MAP,
    }
    assert shown.alert["pictures"]["map"]["media_type"] == "image/png"
    assert "pictures" not in without.alert


def test_alertmanager_s_readers_see_one_group_an_incident_that_fires_and_is_resolved(
    outbox: OutboxBench,
) -> None:
    with webhook_receiver() as receiver:
        _, secret = outbox.subscribe(AlertmanagerChannel(url=receiver.url), name="on call")
        outbox.change(1, 1)
        outbox.change(1, 2, state="resolved", change="resolved")
        DelivererBench(outbox).settle()
    fired, resolved = (json.loads(post.body) for post in receiver.seen)
    assert set(fired) == {
        *("version", "groupKey", "truncatedAlerts", "status", "receiver", "groupLabels"),
        *("commonLabels", "commonAnnotations", "externalURL", "alerts"),
    }
    assert (fired["version"], fired["status"], fired["receiver"]) == ("4", "firing", "on call")
    assert fired["groupKey"] == resolved["groupKey"]
    [alert] = fired["alerts"]
    assert alert["labels"] == {
        "alertname": "anomaly",
        "incident": incident_of(1),
        "line": "line-1",
        "severity": "warning",
        "camera": "east-1",
        "product": "cell",
    }
    assert (alert["startsAt"], alert["endsAt"]) == ("2026-01-01T00:00:00.000000Z", "0001-01-01T00:00:00Z")
    assert resolved["status"] == resolved["alerts"][0]["status"] == "resolved"
    assert resolved["alerts"][0]["endsAt"] == "2026-01-01T00:00:00.000000Z"
    assert resolved["alerts"][0]["fingerprint"] == alert["fingerprint"]
    Webhook(secret).verify(receiver.seen[0].body, receiver.seen[0].headers)


def test_pagerduty_s_readers_see_one_incident_through_all_its_states(outbox: OutboxBench) -> None:
    changes: list[dict[str, Any]] = [
        {"change": "opened", "summary": "x" * 1_500},
        {"change": "acknowledged", "state": "acknowledged"},
        {"change": "snoozed", "state": "snoozed"},
        {"change": "woken", "severity": "critical"},
        {"change": "resolved", "state": "resolved", "camera": None, "product": None, "summary": ""},
    ]
    with webhook_receiver(lambda _: PlannedAnswer(202)) as receiver:
        channel = PagerDutyChannel(url=receiver.url, routing_key="r0ut1ng")
        made, secret = outbox.subscribe(channel)
        for number, change in enumerate(changes, 1):
            outbox.change(1, number, **change)
        DelivererBench(outbox).settle()
    events = [json.loads(post.body) for post in receiver.seen]
    actions = [event["event_action"] for event in events]
    assert actions == ["trigger", "acknowledge", "acknowledge", "trigger", "resolve"]
    assert {event["dedup_key"] for event in events} == {incident_of(1)}
    assert {event["routing_key"] for event in events} == {secret} == {"r0ut1ng"}
    assert "r0ut1ng" not in made.model_dump_json()
    first, last = events[0]["payload"], events[-1]["payload"]
    assert (first["source"], first["severity"], len(first["summary"])) == ("east-1", "warning", 1_024)
    assert (last["source"], last["summary"]) == ("line-1", "anomaly")
    assert first["custom_details"]["anomaly"]["certified_margin"] == 3


def test_an_edit_without_a_routing_key_keeps_the_one_there_is(outbox: OutboxBench) -> None:
    with webhook_receiver() as receiver:
        made, _ = outbox.subscribe(PagerDutyChannel(url=receiver.url, routing_key="r0ut1ng"))
        with outbox.database.transaction() as session:
            outbox.store.replace(session, made.id, 1, Wish("other", PagerDutyChannel(url=receiver.url)))
        outbox.change()
        DelivererBench(outbox).settle()
    assert json.loads(receiver.seen[0].body)["routing_key"] == "r0ut1ng"


def test_a_mail_shows_picture_and_map_and_says_what_the_alert_says(outbox: OutboxBench) -> None:
    with smtp_sink() as sink:
        server = MailServer("127.0.0.1", sink.port, "line@plant.example", "none")
        outbox.subscribe(MailChannel(to=("ann@plant.example", "bob@plant.example")))
        outbox.write([an_alert(anomaly=SHOWN, why="größer als 3σ", summary="<b>Riss</b> on east-1")])
        DelivererBench(outbox, mail=server, pictures=STORE).settle()
    [mail] = sink.seen
    message = mail.message
    assert (mail.sender, mail.to) == ("line@plant.example", ["ann@plant.example", "bob@plant.example"])
    assert message["Subject"] == "[line-1] warning: <b>Riss</b> on east-1"
    assert message["Message-ID"] == f"<{outbox.deliveries()[0].id}@steadyline>"
    assert message["References"] == f"<{incident_of(1)}@steadyline>"
    text, page = message.get_body(("plain",)), message.get_body(("html",))
    assert text is not None
    assert page is not None
    assert "Why: größer als 3σ" in text.get_content()
    assert "Certified: no change of 3/255 or less turns this verdict" in text.get_content()
    assert "&lt;b&gt;Riss" in page.get_content()
    parts = {part["Content-ID"]: part for part in message.walk() if part.get_content_maintype() == "image"}
    assert {name: part.get_content() for name, part in parts.items()} == {"<picture>": PICTURE, "<map>": MAP}
    assert {part.get_content_disposition() for part in parts.values()} == {"inline"}
    assert all(f'src="cid:{name.strip("<>")}"' in page.get_content() for name in parts)


def test_a_mail_and_a_webhook_carry_part_area_budget_and_drift(outbox: OutboxBench) -> None:
    budget = BudgetFacts(promised=0.01, observed=0.08, frames=5000, burn_rate=8.0, window_seconds=3600)
    bins = [DriftBin(calibration=0.1, recent=count) for count in (0, 0, 1, 1, 2, 6, 10, 20, 25, 35)]
    drift = DriftFacts(looked_at=312, p_value=0.004, bins=bins)
    shown = SHOWN.model_copy(update={"part": "SN-7\u00e4", "area": 0.0625})
    with smtp_sink() as sink, webhook_receiver() as receiver:
        outbox.subscribe(MailChannel(to=("ann@plant.example",)))
        outbox.subscribe(WebhookChannel(url=receiver.url))
        outbox.write([an_alert(anomaly=shown, budget=budget, drift=drift)])
        server = MailServer("127.0.0.1", sink.port, "line@plant.example", "none")
        DelivererBench(outbox, mail=server).settle()
    body = sink.seen[0].message.get_body(("plain",))
    assert body is not None
    text = body.get_content()
    for told in (
        "Part: SN-7\u00e4",
        "Area: 6.25% of the map is above the threshold",
        "Promised: 1.00% of normal frames judged anomalous at most",
        "Observed: 8.00% of 5000 frames in the last 60 min",
        "Burn rate: 8 times what is promised",
        "p-value: 0.004, over 312 normal frames looked at",
        "Last frames: 0%, 0%, 1%, 1%, 2%, 6%, 10%, 20%, 25%, 35% of 100 in the same tenths",
    ):
        assert told in text
    data = json.loads(receiver.seen[0].body)["data"]
    assert (data["anomaly"]["part"], data["anomaly"]["area"]) == ("SN-7\u00e4", 0.0625)
    assert (data["budget"]["burn_rate"], data["drift"]["bins"][9]["recent"]) == (8.0, 35)


def test_a_picture_that_cannot_be_had_holds_no_mail_back(outbox: OutboxBench) -> None:
    with smtp_sink() as sink:
        server = MailServer("127.0.0.1", sink.port, "line@plant.example", "none")
        outbox.subscribe(MailChannel(to=("ann@plant.example",)))
        outbox.write([an_alert(anomaly=SHOWN)])
        DelivererBench(outbox, mail=server).settle()
    assert [part.get_content_maintype() for part in sink.seen[0].message.walk()].count("image") == 0


ENCODED = (
    "=?utf-8?q?x=0d=0aReply-To:_evil@x.org=0d=0a=0d=0a<h1>Pay</h1>?=",
    "=?utf-7?q?+2AA-?=",
    "=?utf-16?b?zz++?=",
    "=?utf-8?q?=00?=",
)


@pytest.mark.parametrize("word", ENCODED)
def test_an_encoded_word_in_a_summary_stays_as_it_is_written(outbox: OutboxBench, word: str) -> None:
    """The standard library reads such a word in a header as what it encodes, a line's end for example."""
    with smtp_sink() as sink:
        outbox.subscribe(MailChannel(to=("ann@plant.example",)))
        outbox.write([an_alert(summary=word)])
        DelivererBench(outbox, mail=MailServer("127.0.0.1", sink.port, "steadyline@plant", "none")).settle()
        assert outbox.states() == ["delivered"]
    assert sink.seen[0].message["Reply-To"] is None
    assert sink.seen[0].message.get_content_type() == "multipart/alternative"
    assert b"\0" not in sink.seen[0].data
    assert word.replace("=?", "= ?") in str(sink.seen[0].message["Subject"]).replace("\n", "")


def test_a_summary_cannot_begin_another_header_of_a_mail(outbox: OutboxBench) -> None:
    hostile = "x\r\nBcc: eve@evil.example\r\n\r\nbody\u2028\x00\x85y"
    with smtp_sink() as sink:
        server = MailServer("127.0.0.1", sink.port, "line@plant.example", "none")
        outbox.subscribe(MailChannel(to=("ann@plant.example",)))
        outbox.write([an_alert(summary=hostile, why=hostile, camera="c\r\nd")])
        DelivererBench(outbox, mail=server).settle()
    [mail] = sink.seen
    assert mail.to == ["ann@plant.example"]
    assert mail.message["Bcc"] is None
    assert mail.message["Subject"] == "[line-1] warning: x Bcc: eve@evil.example body y"


@pytest.mark.parametrize(
    "to",
    ["", "ann", "ann@", "Ann <ann@x.example>", "ann@x.example\r\nBcc: eve", "a@x.example,b@x.example", "ä@x"],
)
def test_an_address_of_mail_that_is_more_than_one_is_refused(to: str) -> None:
    with pytest.raises(ValidationError):
        MailChannel(to=(to,))


def test_mail_that_is_refused_or_has_no_server_says_why(outbox: OutboxBench) -> None:
    def last() -> tuple[str | None, int | None]:
        [row] = outbox.deliveries()
        return row.last_reason, row.last_status

    outbox.subscribe(MailChannel(to=("ann@plant.example",)))
    outbox.change()
    none = DelivererBench(outbox)
    none.turn_until(lambda: last() == ("endpoint_unreachable", None))
    with smtp_sink(frozenset({"ann@plant.example"})) as sink:
        server = MailServer("127.0.0.1", sink.port, "line@plant.example", "none")
        refusing = DelivererBench(outbox, "two", mail=server)
        refusing.turn_until(lambda: last() == ("endpoint_refuses", 550))
        assert sink.seen == []


@pytest.mark.parametrize("is_named", [True, False])
def test_a_mail_server_s_own_authority_is_believed_only_where_it_is_named(
    outbox: OutboxBench, tmp_path: Path, is_named: bool
) -> None:
    certificate = a_certificate(tmp_path, "localhost")
    tls = trusted_context(certificate if is_named else None)
    with tls_server(certificate) as port:
        server = MailServer("localhost", port, "line@plant.example", "tls", timeout=HURRY, tls=tls)
        made, _ = outbox.subscribe(MailChannel(to=("ann@plant.example",)))
        bench = DelivererBench(outbox, mail=server)
        sent = SampleDelivery(outbox.database, bench.senders, outbox.clock).send_sample(made.id)
    # The server speaks HTTP, which is no mail; but whether it is believed comes before that.
    assert (sent.reason == "certificate_refused") is not is_named


def test_a_file_without_an_authority_in_it_is_refused_at_the_start(tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_text("")
    for path in (empty, tmp_path / "none.pem"):
        with pytest.raises(InvalidConfiguration, match="ALERTS_CA_FILE"):
            trusted_context(path)


def test_a_plant_s_own_authority_is_believed_by_webhooks(tmp_path: Path) -> None:
    certificate = a_certificate(tmp_path, "localhost")
    guard = EgressGuard(EgressRules.of(allow_private=True))
    client = HttpClient(guard, tls=trusted_context(certificate))
    with tls_server(certificate) as port:
        assert client.post(f"https://localhost:{port}/", {}, b"{}").status == 204
