"""What an MQTT broker that means ill can make us hold."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from alerts.deliveries.channels.mqtt_session import MqttMessage, MqttPlace, MqttSession
from alerts.deliveries.egress import EgressGuard, EgressRules
from alerts.deliveries.failure import EndpointUnreachable
from tests.support.eventually import eventually
from tests.support.hostile_mqtt import HostileMqttBroker, a_publish, hostile_mqtt

STATUS_TOPIC = "steadyline/line-1/status"
OFFLINE = a_publish(STATUS_TOPIC, b"offline")


@contextmanager
def a_session(broker: HostileMqttBroker) -> Iterator[MqttSession]:
    place = MqttPlace("127.0.0.1", broker.port, "c", STATUS_TOPIC, None, "", None)
    session = MqttSession(place, EgressGuard(EgressRules.of(True)), time.monotonic() + 10)
    try:
        yield session
    finally:
        session.abort("the test is over")


def why_over(session: MqttSession) -> str:
    eventually(lambda: not session.is_alive, within=60)
    with pytest.raises(EndpointUnreachable) as error:
        session.publish([MqttMessage("t", b"", "text/plain")], time.monotonic() + 1)
    return str(error.value)


def test_however_often_we_are_told_to_be_offline_one_answer_waits_for_its_acknowledgement() -> None:
    with hostile_mqtt() as broker, a_session(broker) as session:
        broker.is_kind = False
        broker.send(OFFLINE * 300)
        eventually(lambda: broker.acknowledged == 300)
        eventually(lambda: len(broker.published) == 2)  # the first has told that we are there
        broker.send(OFFLINE * 300)
        eventually(lambda: broker.acknowledged == 600)
        assert len(broker.published) == 2
        assert session.is_alive


def test_who_is_told_to_be_offline_while_it_answers_answers_once_more() -> None:
    with hostile_mqtt() as broker, a_session(broker):
        broker.send(OFFLINE)
        eventually(lambda: len(broker.published) == 2)
        broker.send(OFFLINE)
        eventually(lambda: len(broker.published) == 3)


def test_a_packet_larger_than_any_of_ours_ends_the_session_before_it_is_read() -> None:
    with hostile_mqtt() as broker, a_session(broker) as session:
        assert b"\x27\x00\x01\x00\x00" in broker.connect  # Maximum Packet Size: 64 KiB
        broker.send(b"\x30\xff\xff\xff\x7f")
        assert "a packet of 268435455 bytes" in why_over(session)


def test_what_a_broker_sends_exactly_once_is_not_kept() -> None:
    with hostile_mqtt() as broker, a_session(broker) as session:
        broker.send(a_publish(STATUS_TOPIC, b"x", qos=2))
        assert "not subscribed to" in why_over(session)


def test_a_broker_that_sends_and_takes_nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    connect = socket.create_connection

    def with_little_room(*arguments: Any) -> socket.socket:
        made = connect(*arguments)
        made.setsockopt(
            socket.SOL_SOCKET, socket.SO_SNDBUF, 4096
        )  # the kernel's would take a million answers
        return made

    monkeypatch.setattr(socket, "create_connection", with_little_room)
    with hostile_mqtt() as broker, a_session(broker) as session:
        broker.reads.clear()
        thread = threading.Thread(target=flood, args=(broker, session), daemon=True)
        thread.start()
        assert "takes nothing" in why_over(session)
        thread.join(10)


def flood(broker: HostileMqttBroker, session: MqttSession) -> None:
    while session.is_alive:
        broker.send(a_publish("t", b"") * 1000)


def test_many_messages_go_out_in_their_order_a_batch_at_a_time() -> None:
    with hostile_mqtt() as broker, a_session(broker) as session:
        told = [MqttMessage("t", b"%d" % number, "text/plain") for number in range(1100)]
        session.publish(told, time.monotonic() + 60)
        assert [int(body.rpartition(b"text/plain")[2]) for body in broker.published[1:]] == [*range(1100)]
