"""One connection to an MQTT 5 broker, from its opening to its end; alone in knowing the client library.

A session is never opened a second time. The library would send once more what it holds unacknowledged, behind
the back of the outbox, and so put an old state in the place of a newer one.

A broker is somebody's, and may mean ill: what it can make us hold is bounded.
"""

import socket
import ssl
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from typing_extensions import override

from alerts.deliveries.channels.mqtt_socket import connect_socket
from alerts.deliveries.egress import EgressGuard
from alerts.deliveries.failure import (
    CertificateRefused,
    CredentialsRefused,
    DeliveryFailed,
    EndpointRefuses,
    EndpointTimedOut,
    EndpointUnreachable,
)

ONLINE, OFFLINE = b"online", b"offline"

_KEEPALIVE_SECONDS = 30  # after half of that again without a sign of life the broker tells our Last Will
_AT_LEAST_ONCE = 1
_MOST_UNANSWERED = 8  # fewer than any broker bears
_BATCH = 64  # messages that one call gives the library before it waits for their answers
_MOST_QUEUED = 1024  # messages of all calls
_MOST_RECEIVED = 64 << 10  # bytes of a packet; we subscribe to nothing but single words
_MOST_UNSENT = 200  # packets; the library answers what it reads, whether or not the broker takes the answers
_QOS_2 = 0x04  # in the first byte of a message
_ONLINE_EVERY = 1.0  # seconds, however often we are told to be offline
_ONLINE_PATIENCE = 10.0
_BAD_CREDENTIALS = (0x86, 0x87, 0x8C)  # wrong password, not authorised, wrong method


@dataclass(frozen=True, slots=True)
class MqttMessage:
    """One message, as it goes to the broker at least once."""

    topic: str
    payload: bytes
    content_type: str
    is_retained: bool = False
    properties: Mapping[str, str] = field(default_factory=dict)  # user properties


@dataclass(frozen=True, slots=True)
class MqttPlace:
    """Which broker, as whom, and where it is told whether we are there."""

    host: str
    port: int
    client_id: str
    status_topic: str
    user: str | None
    password: str = field(repr=False)
    tls: ssl.SSLContext | None  # None: without TLS


class _MakeSocket(Protocol):
    def __call__(self) -> socket.socket: ...


class _GuardedMqttClient(Client):
    """Takes its socket from us: the library would connect to a name, or by a proxy of the environment."""

    def __init__(self, client_id: str, make_socket: _MakeSocket) -> None:
        super().__init__(
            CallbackAPIVersion.VERSION2,
            client_id,
            protocol=MQTTProtocolVersion.MQTTv5,
            reconnect_on_failure=False,
        )
        self._make_socket = make_socket

        self.refusal: str | None = None  # what of the broker's ended the connection

    @override
    def _create_socket(self) -> socket.socket:
        return self._make_socket()

    @override
    def _sock_recv(self, bufsize: int) -> bytes:
        """The library asks for the whole rest of a packet at once."""
        if bufsize > _MOST_RECEIVED:
            self.refusal = f"the broker sends a packet of {bufsize} bytes"
        elif len(self._out_packet) > _MOST_UNSENT:
            self.refusal = "the broker sends, and takes nothing"
        if self.refusal is not None:
            raise ConnectionError(self.refusal)
        return super()._sock_recv(bufsize)

    @override
    def _handle_publish(self) -> MQTTErrorCode:
        """What comes exactly once, to which we never subscribe, would be kept until the broker lets it go."""
        if self._in_packet["command"] & _QOS_2:
            self.refusal = "the broker sends what was not subscribed to"
            return MQTTErrorCode.MQTT_ERR_PROTOCOL
        return super()._handle_publish()


class MqttSession:
    """See the module; safe from several threads at once."""

    def __init__(self, place: MqttPlace, guard: EgressGuard, end: float) -> None:
        """Connect and tell that we are there, all until ``end`` of the monotonic clock.

        Raises DeliveryFailed, having left nothing open.
        """
        self._place, self._guard = place, guard
        self._changed = threading.Condition()
        self._accepted: ReasonCode | None = None
        self._answers: dict[int, ReasonCode] = {}
        self._lost: str | None = None  # why it is over
        self._telling = threading.Lock()  # under it OFFLINE goes out last
        self._is_closing = False
        self._is_contradicting = self._is_told_offline = False
        self._client = self._new_client(end)
        try:
            self._open(end)
        except BaseException:
            self.abort("it could not be opened")
            raise

    @property
    def is_alive(self) -> bool:
        """True until the connection is lost or closed."""
        return self._lost is None

    def publish(self, messages: Sequence[MqttMessage], end: float) -> None:
        """Return once the broker has acknowledged each message; they arrive in their order.

        Raises EndpointRefuses when the broker takes one of them not; after any other DeliveryFailed the
        session is over.
        """
        for begin in range(0, len(messages), _BATCH):
            self._publish_batch(messages[begin : begin + _BATCH], end)

    def _publish_batch(self, messages: Sequence[MqttMessage], end: float) -> None:
        try:
            sent = [self._send(message) for message in messages]
            answers = [self._answer(number, end) for number in sent]
        except (EndpointTimedOut, EndpointUnreachable) as error:
            self.abort(str(error))
            raise
        for message, answer in zip(messages, answers, strict=True):
            self._check(answer, f"the broker does not take {message.topic}")

    def close(self, end: float) -> None:
        """Tell that we go, and go; without an answer just go."""
        with self._telling:
            self._is_closing = True
        try:
            self.publish([self._status(OFFLINE)], end)
        except DeliveryFailed as error:
            self.abort(str(error))
        else:
            self._client.disconnect()  # its own thread ends with that
            with self._changed:
                self._changed.wait_for(lambda: self._lost is not None, max(0.0, end - time.monotonic()))
            self.abort("it was closed")

    def abort(self, why: str) -> None:
        """End it without a word: the broker tells our Last Will."""
        self._end(why)
        found = self._client.socket()
        if isinstance(found, socket.socket):
            with suppress(OSError):  # it is closed already
                # Wakes the library's thread, which closes it. The method of TLS would take TLS off first.
                socket.socket.shutdown(found, socket.SHUT_RDWR)

    def _new_client(self, end: float) -> _GuardedMqttClient:
        place = self._place
        client = _GuardedMqttClient(
            place.client_id, lambda: connect_socket(self._guard, (place.host, place.port), place.tls, end)
        )
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        client.on_message = self._on_message
        if place.user is not None:
            client.username_pw_set(place.user, place.password)
        client.max_inflight_messages_set(_MOST_UNANSWERED)
        client.max_queued_messages_set(_MOST_QUEUED)
        client.will_set(place.status_topic, OFFLINE, _AT_LEAST_ONCE, retain=True)
        return client

    def _open(self, end: float) -> None:
        place = self._place
        wishes = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        wishes.MaximumPacketSize = _MOST_RECEIVED
        try:
            self._client.connect(
                place.host, place.port, _KEEPALIVE_SECONDS, clean_start=True, properties=wishes
            )
        except ssl.SSLError as error:
            raise CertificateRefused(f"TLS: {error}") from error
        except TimeoutError as error:
            raise EndpointTimedOut(f"{place.host} did not answer in time") from error
        except (OSError, ValueError) as error:  # ValueError: no name that TLS takes
            raise EndpointUnreachable(f"no connection to {place.host}: {error}") from error
        self._client.loop_start()
        with self._changed:
            self._changed.wait_for(lambda: self._accepted or self._lost, max(0.0, end - time.monotonic()))
            if self._accepted is None:
                if self._lost is None:
                    raise EndpointTimedOut(f"{place.host} did not accept the connection in time")
                raise EndpointUnreachable(f"{place.host} did not accept the connection: {self._lost}")
            self._check(self._accepted, f"{place.host} does not accept the connection")
        # Another process may tell its Last Will under the same topic after we have said that we are there.
        self._client.subscribe(place.status_topic, _AT_LEAST_ONCE)
        self.publish([self._status(ONLINE)], end)

    def _status(self, word: bytes) -> MqttMessage:
        return MqttMessage(self._place.status_topic, word, "text/plain", is_retained=True)

    def _send(self, message: MqttMessage) -> int:
        if self._lost is not None:
            raise EndpointUnreachable(f"the connection broke: {self._lost}")
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.ContentType = message.content_type
        for pair in message.properties.items():
            properties.UserProperty = pair  # adds to those before
        try:
            sent = self._client.publish(
                message.topic, message.payload, _AT_LEAST_ONCE, message.is_retained, properties
            )
        except ValueError as error:
            raise EndpointRefuses(f"no message that MQTT has: {error}") from error
        if sent.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise EndpointUnreachable(f"the connection broke: {sent.rc.name}")
        return sent.mid

    def _answer(self, number: int, end: float) -> ReasonCode:
        with self._changed:
            self._changed.wait_for(
                lambda: number in self._answers or self._lost is not None, max(0.0, end - time.monotonic())
            )
            answer = self._answers.pop(number, None)
            if answer is not None:
                return answer
            if self._lost is not None:
                raise EndpointUnreachable(f"the connection broke: {self._lost}")
        raise EndpointTimedOut(f"{self._place.host} did not acknowledge in time")

    @staticmethod
    def _check(answer: ReasonCode, what: str) -> None:
        if not answer.is_failure:
            return
        failure = CredentialsRefused if answer.value in _BAD_CREDENTIALS else EndpointRefuses
        raise failure(f"{what}: {answer}", answer.value)

    def _end(self, why: str) -> None:
        with self._changed:
            if self._lost is None:
                self._lost = why
            self._changed.notify_all()

    def _on_connect(self, _client: Client, _data: Any, _flags: Any, answer: ReasonCode, _: Any) -> None:
        with self._changed:
            self._accepted = answer
            self._changed.notify_all()

    def _on_disconnect(self, _client: Client, _data: Any, _flags: Any, answer: ReasonCode, _: Any) -> None:
        self._end(self._client.refusal or str(answer))

    def _on_publish(self, _client: Client, _data: Any, number: int, answer: ReasonCode, _: Any) -> None:
        with self._changed:
            self._answers[number] = answer
            self._changed.notify_all()

    def _on_message(self, _client: Client, _data: Any, message: MQTTMessage) -> None:
        """Hear what is told under our status topic; only that is subscribed to."""
        if message.payload != OFFLINE:
            return
        with self._changed:
            self._is_told_offline = True
            if self._is_contradicting:
                return
            self._is_contradicting = True
        threading.Thread(target=self._contradict, name="mqtt-online", daemon=True).start()

    def _contradict(self) -> None:
        """Tell that we are there until nobody has told otherwise since: one message at a time, and seldom."""
        while True:
            with self._changed:
                if not self._is_told_offline or self._lost is not None:
                    self._is_contradicting = False
                    return
                self._is_told_offline = False
            with suppress(DeliveryFailed):  # refused, or the session is over
                self._tell_online(time.monotonic() + _ONLINE_PATIENCE)
            with self._changed:
                self._changed.wait_for(lambda: self._lost is not None, _ONLINE_EVERY)

    def _tell_online(self, end: float) -> None:
        with self._telling:
            if self._is_closing:
                return
            number = self._send(self._status(ONLINE))
        try:
            self._answer(number, end)
        except EndpointTimedOut as error:
            self.abort(str(error))
