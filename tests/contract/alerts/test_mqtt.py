"""Alerts told to a real mosquitto, and read by its own subscriber."""

import json
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from alerts.deliveries.channels.mqtt_session import MqttPlace, MqttSession
from alerts.deliveries.deliverer import DelivererLimits
from alerts.deliveries.egress import EgressGuard, EgressRules
from alerts.deliveries.failure import CertificateRefused
from alerts.deliveries.http_client import HttpLimits
from alerts.deliveries.parcel import Parcel
from alerts.deliveries.sample import SampleDelivery
from alerts.subscriptions.channel import MqttChannel
from alerts.subscriptions.filter import SubscriptionFilter
from steadyline.clock import SystemClock
from steadyline.contracts.alert_digest import AlertDigest
from tests.packaging.rules import ROOT
from tests.support.alert_outbox import (
    PATIENT_BREAKER,
    DelivererBench,
    OutboxBench,
    Wish,
    an_alert,
    incident_of,
)
from tests.support.eventually import eventually
from tests.support.mosquitto import MosquittoBroker, mosquitto
from tests.support.tls import a_certificate

pytestmark = pytest.mark.servers

STATUS = "steadyline/line-1/status"
HURRY = HttpLimits(whole=timedelta(seconds=1))


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[MosquittoBroker]:
    with mosquitto(tmp_path / "mosquitto") as made:
        yield made


@pytest.fixture
def outbox(tmp_path: Path) -> OutboxBench:
    return OutboxBench.on_file(tmp_path / "alerts.db", SystemClock())


@contextmanager
def delivering(outbox: OutboxBench, **options: Any) -> Iterator[DelivererBench]:
    """Yield a deliverer whose connections are closed at the end of the block."""
    bench = DelivererBench(outbox, **options)
    try:
        yield bench
    finally:
        bench.mqtt.close()


def kept(bench: DelivererBench, broker: MosquittoBroker, topic: str, word: bytes) -> bool:
    bench.keeper.turn()
    found = broker.retained(topic)
    return found is not None and found.payload == word


def test_an_alert_is_a_cloud_event_whose_attributes_are_user_properties(
    outbox: OutboxBench, broker: MosquittoBroker
) -> None:
    outbox.subscribe(MqttChannel(url=broker.url))
    outbox.write([an_alert(summary="größer als 3σ")])
    with broker.listening("steadyline/#") as heard, delivering(outbox) as bench:
        bench.settle()
        eventually(lambda: any("/incidents/" in message.topic for message in heard))
    [message] = [message for message in heard if "/incidents/" in message.topic]
    event = message.json
    assert message.topic == f"steadyline/line-1/incidents/{incident_of(1)}"
    assert (message.qos, message.is_retained, message.content_type) == (
        1,
        False,
        "application/cloudevents+json",
    )
    assert event["data"]["summary"] == "größer als 3σ"
    attributes = ("specversion", "id", "source", "type", "subject", "time", "traceparent")
    assert message.properties == {
        **{name: event[name] for name in attributes},
        "delivery": outbox.deliveries()[0].id,
    }
    assert broker.retained(message.topic) is None


def test_the_state_of_a_camera_is_right_when_its_alert_arrives(
    outbox: OutboxBench, broker: MosquittoBroker
) -> None:
    outbox.subscribe(MqttChannel(url=broker.url))
    with broker.listening("steadyline/#") as heard, delivering(outbox) as bench:
        outbox.change(1, 1)
        bench.settle()
        opened = broker.state_of("east-1")
        outbox.change(2, 1, severity="critical", kind="camera_dark")
        bench.settle()
        worse = broker.state_of("east-1")
        outbox.change(2, 2, severity="critical", state="resolved", change="resolved", kind="camera_dark")
        outbox.change(1, 2, state="resolved", change="resolved")
        bench.settle()
        eventually(lambda: sum("/incidents/" in message.topic for message in heard) == 4)
    assert (opened["severity"], opened["open"], opened["since"]) == (
        "warning",
        1,
        "2026-01-01T00:00:00.000000Z",
    )
    assert [one["incident"] for one in opened["incidents"]] == [incident_of(1)]
    assert (worse["severity"], worse["open"]) == ("critical", 2)
    assert broker.state_of("east-1") == {
        "camera": "east-1",
        "severity": None,
        "since": None,
        "open": 0,
        "incidents": [],
    }
    first = next(index for index, message in enumerate(heard) if "/incidents/" in message.topic)
    assert [message.topic for message in heard[:first]][-1].endswith("/cameras/east-1/state")


def test_a_late_or_repeated_delivery_leaves_the_state_as_it_stands(
    outbox: OutboxBench, broker: MosquittoBroker
) -> None:
    made, secret = outbox.subscribe(MqttChannel(url=broker.url))
    outbox.change(1, 1)
    outbox.change(1, 2, state="resolved", change="resolved")
    with delivering(outbox) as bench:
        bench.settle()
        late = Parcel("d" * 32, made, secret, an_alert(), datetime.now(UTC), "")
        bench.senders["mqtt"].send(late)
    assert broker.state_of("east-1")["open"] == 0


def test_states_that_several_processes_tell_at_once_end_as_it_stands(
    outbox: OutboxBench, broker: MosquittoBroker
) -> None:
    outbox.subscribe(MqttChannel(url=broker.url))
    with (
        delivering(outbox, name="one") as one,
        delivering(outbox, name="two") as two,
        one.running(),
        two.running(),
    ):
        for number in range(1, 13):
            outbox.change(number, 1)
        for number in range(1, 12):
            outbox.change(number, 2, state="resolved", change="resolved")
        eventually(lambda: "pending" not in outbox.states(), within=60)
    assert [found["incident"] for found in broker.state_of("east-1")["incidents"]] == [incident_of(12)]


def test_a_state_has_what_the_subscription_is_about_and_what_nobody_was_told_of(
    outbox: OutboxBench, broker: MosquittoBroker
) -> None:
    condition = SubscriptionFilter(cameras=["east-*"], least_severity="warning")
    outbox.subscribe(MqttChannel(url=broker.url), condition)
    with delivering(outbox) as bench:
        eventually(lambda: kept(bench, broker, STATUS, b"online"), within=30)
        eventually(lambda: broker.state_of("east-1") is not None)
        assert broker.state_of("east-1")["open"] == 0
        outbox.change(1, 1, notify=False)
        outbox.change(2, 1, notify=False, severity="info")

        def told() -> bool:
            bench.keeper.turn()
            return bool(broker.state_of("east-1")["open"])

        eventually(told, within=30)
        assert [one["incident"] for one in broker.state_of("east-1")["incidents"]] == [incident_of(1)]
    assert broker.state_of("west-1") is None


def test_the_last_will_says_offline_when_the_process_is_killed(
    outbox: OutboxBench, broker: MosquittoBroker, tmp_path: Path
) -> None:
    outbox.subscribe(MqttChannel(url=broker.url))
    outbox.change()
    command = [sys.executable, "-m", "tests.support.deliverer_process", str(tmp_path / "alerts.db"), "one"]
    with broker.listening(STATUS) as heard:
        process = subprocess.Popen(command, cwd=ROOT)
        try:
            eventually(lambda: [message.payload for message in heard] == [b"online"], within=120)
        finally:
            process.kill()
            process.wait()
        eventually(lambda: heard[-1].payload == b"offline", within=30)
    found = broker.retained(STATUS)
    assert found is not None
    assert (found.payload, found.is_retained) == (b"offline", True)


def test_whoever_is_still_there_says_so_when_another_one_goes(
    outbox: OutboxBench, broker: MosquittoBroker
) -> None:
    outbox.subscribe(MqttChannel(url=broker.url))
    with delivering(outbox, name="stays") as bench:
        eventually(lambda: kept(bench, broker, STATUS, b"online"), within=30)
        with delivering(outbox, name="goes") as other, broker.listening(STATUS) as heard:
            other.keeper.turn()
            eventually(lambda: heard[-1].payload == b"online" and len(heard) > 1)
            other.mqtt.close()
            eventually(lambda: [one.payload for one in heard[-2:]] == [b"offline", b"online"])
    found = broker.retained(STATUS)
    assert found is not None
    assert found.payload == b"offline"  # now nobody is


@pytest.mark.parametrize("password", ["wr0ng", None])
def test_a_password_that_the_broker_does_not_take_has_a_word(
    outbox: OutboxBench, tmp_path: Path, password: str | None
) -> None:
    with mosquitto(tmp_path / "mosquitto", users={"line": "s3cret"}) as broker:
        made, secret = outbox.subscribe(MqttChannel(url=broker.url, user="line", password=password))
        outbox.change()
        with delivering(outbox) as bench:
            bench.turn_until(lambda: outbox.deliveries()[0].last_reason == "credentials_refused")
            samples = SampleDelivery(outbox.database, bench.senders, outbox.clock)
            assert samples.send_sample(made.id).reason == "credentials_refused"
            right = Wish("plant", MqttChannel(url=broker.url, user="line", password="s3cret"))
            with outbox.database.transaction() as session:
                outbox.store.replace(session, made.id, 1, right)
            bench.settle(within=60)
    assert "s3cret" not in made.model_dump_json()
    assert secret not in str(outbox.deliveries()[0].last_error)


def test_alerts_wait_for_a_broker_that_is_away_and_arrive_in_order(
    outbox: OutboxBench, broker: MosquittoBroker
) -> None:
    outbox.subscribe(MqttChannel(url=broker.url))
    broker.stop()
    limits = DelivererLimits(breaker=PATIENT_BREAKER)
    with delivering(outbox, limits=limits) as bench:
        for sequence in range(1, 6):
            outbox.change(1, sequence)
        bench.turn_until(lambda: outbox.deliveries()[0].last_reason == "endpoint_unreachable")
        broker.start()
        with broker.listening("steadyline/line-1/incidents/#") as heard:
            bench.settle(within=60)
            broker.stop()
            broker.start()
        with broker.listening("steadyline/line-1/incidents/#") as later:
            outbox.change(1, 6)
            bench.settle(within=60)
            eventually(lambda: later)
    told = [message.json["data"]["sequence"] for message in [*heard, *later]]
    assert told == [1, 2, 3, 4, 5, 6]


def test_a_broker_that_answers_nothing_ends_with_the_time_of_an_attempt(
    outbox: OutboxBench, broker: MosquittoBroker
) -> None:
    outbox.subscribe(MqttChannel(url=broker.url))
    outbox.change(1, 1)
    with delivering(outbox, http=HURRY) as bench:
        bench.settle()
        broker.suspend()
        outbox.change(1, 2)
        bench.turn_until(lambda: outbox.deliveries()[1].last_reason == "endpoint_timed_out")
        broker.resume()
        bench.settle(within=60)


def test_a_subscription_that_changes_leaves_its_connection_and_says_so(
    outbox: OutboxBench, broker: MosquittoBroker
) -> None:
    made, _ = outbox.subscribe(MqttChannel(url=broker.url))
    with delivering(outbox) as bench:
        eventually(lambda: kept(bench, broker, STATUS, b"online"), within=30)
        with outbox.database.transaction() as session:
            outbox.store.replace(
                session, made.id, 1, Wish("p", MqttChannel(url=broker.url, prefix="other/plant"))
            )
        eventually(lambda: kept(bench, broker, "other/plant/line-1/status", b"online"), within=30)
        assert kept(bench, broker, STATUS, b"offline")
        with outbox.database.transaction() as session:
            assert outbox.store.delete(session, made.id, 2)
        eventually(lambda: kept(bench, broker, "other/plant/line-1/status", b"offline"), within=30)


def test_what_the_broker_itself_refuses_is_an_answer_with_its_number(
    outbox: OutboxBench, tmp_path: Path
) -> None:
    rules = tmp_path / "acl"
    rules.write_text("topic write steadyline/line-1/status\ntopic read #\ntopic write listening\n")
    with mosquitto(tmp_path / "mosquitto", rules=rules) as broker:
        made, _ = outbox.subscribe(MqttChannel(url=broker.url))
        with delivering(outbox) as bench:
            sent = SampleDelivery(outbox.database, bench.senders, outbox.clock).send_sample(made.id)
    assert (sent.is_delivered, sent.reason, sent.status) == (False, "credentials_refused", 135)


def test_a_sample_is_told_and_opens_nothing(outbox: OutboxBench, broker: MosquittoBroker) -> None:
    made, _ = outbox.subscribe(MqttChannel(url=broker.url))
    outbox.change(1, 1, state="resolved", change="resolved")
    with broker.listening("steadyline/line-1/incidents/#") as heard, delivering(outbox) as bench:
        assert SampleDelivery(outbox.database, bench.senders, outbox.clock).send_sample(made.id).is_delivered
        eventually(lambda: heard)
    assert heard[-1].json["data"]["summary"].startswith("Sample: ")
    assert broker.state_of("east-1")["open"] == 0


def test_a_digest_has_a_topic_of_its_own(outbox: OutboxBench, broker: MosquittoBroker) -> None:
    made, secret = outbox.subscribe(MqttChannel(url=broker.url))
    now = datetime.now(UTC)
    digest = AlertDigest(
        id="e" * 32, reason="schedule", title="2 alerts", since=now, until=now, alerts=[an_alert()]
    )
    with broker.listening("steadyline/line-1/digests") as heard, delivering(outbox) as bench:
        bench.senders["mqtt"].send(Parcel("e" * 32, made, secret, an_alert(), now, "00-x", digest))
        eventually(lambda: heard)
    assert heard[-1].json["data"] == json.loads(digest.encode())
    assert heard[-1].properties["type"] == AlertDigest.TYPE


@pytest.mark.parametrize("is_trusted", [True, False])
def test_a_plant_s_own_authority_is_believed_only_where_it_is_named(
    outbox: OutboxBench, tmp_path: Path, is_trusted: bool
) -> None:
    certificate = a_certificate(tmp_path, "localhost")
    tls = ssl.create_default_context(cafile=str(certificate)) if is_trusted else None
    with mosquitto(tmp_path / "mosquitto", certificate=certificate) as broker:
        made, _ = outbox.subscribe(MqttChannel(url=f"mqtts://localhost:{broker.tls_port}"))
        with delivering(outbox, tls=tls) as bench:
            sent = SampleDelivery(outbox.database, bench.senders, outbox.clock).send_sample(made.id)
    assert (sent.is_delivered, sent.reason) == (is_trusted, None if is_trusted else "certificate_refused")


def test_a_certificate_is_checked_by_the_broker_s_name(tmp_path: Path) -> None:
    certificate = a_certificate(tmp_path, "other.example")
    tls = ssl.create_default_context(cafile=str(certificate))
    with mosquitto(tmp_path / "mosquitto", certificate=certificate) as broker:
        place = MqttPlace("localhost", broker.tls_port, "c", STATUS, None, "", tls)
        with pytest.raises(CertificateRefused):
            MqttSession(place, EgressGuard(EgressRules.of(True)), time.monotonic() + 10)


def test_the_address_that_was_checked_is_the_one_that_is_connected_to(
    outbox: OutboxBench, broker: MosquittoBroker
) -> None:
    """The name resolves to a loopback address only the first time; afterwards nobody is asked."""
    asked: list[str] = []

    def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["192.0.2.1"]

    place = MqttPlace("broker.invalid", broker.port, "c", STATUS, None, "", None)
    session = MqttSession(place, EgressGuard(EgressRules.of(True), resolve), time.monotonic() + 10)
    session.close(time.monotonic() + 2)
    assert asked == ["broker.invalid"]


def test_a_broker_inside_the_plant_is_refused_unless_a_setting_allows_it(
    outbox: OutboxBench, broker: MosquittoBroker
) -> None:
    made, _ = outbox.subscribe(MqttChannel(url=broker.url))
    with delivering(outbox, allow_private=False) as bench:
        sent = SampleDelivery(outbox.database, bench.senders, outbox.clock).send_sample(made.id)
    assert sent.reason == "address_refused"
    assert broker.retained(STATUS) is None
