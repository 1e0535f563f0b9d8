"""An MQTT 5 broker of one client that accepts everything, and otherwise does what a test tells it to."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

CONNECT, PUBLISH, PUBACK, SUBSCRIBE = 1, 3, 4, 8  # kinds of packets
_CONNACK, _SUBACK = b"\x20\x03\x00\x00\x00", b"\x90\x04"


class HostileMqttBroker:
    """Acknowledges what is published while ``is_kind``; safe from several threads at once."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setsockopt(
            socket.SOL_SOCKET, socket.SO_RCVBUF, 4096
        )  # what it does not read fills up soon
        self.port: int = self._listener.getsockname()[1]
        self.is_kind = True
        self.reads = threading.Event()  # while it is set
        self.reads.set()
        self.published: list[bytes] = []  # packets, without their first bytes
        self.acknowledged = 0
        self.connect = b""  # the packet, without its first bytes
        self._client: socket.socket | None = None
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def send(self, data: bytes) -> None:
        """Send bytes; a client that has gone does not matter."""
        assert self._client is not None
        with suppress(OSError):
            self._client.sendall(data)

    def close(self) -> None:
        """End the connection."""
        self.reads.set()
        self._listener.close()
        if self._client is not None:
            with suppress(OSError):
                self._client.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)

    def _serve(self) -> None:
        try:
            self._client, _ = self._listener.accept()
            with self._client, self._client.makefile("rb") as stream:
                while first := stream.read(1):
                    self._take(first[0] >> 4, stream.read(_length(stream.read)))
                    self.reads.wait()
        except OSError:  # the other side has had enough
            pass

    def _take(self, kind: int, body: bytes) -> None:
        if kind == CONNECT:
            self.connect = body
            self.send(_CONNACK)
        elif kind == SUBSCRIBE:
            self.send(_SUBACK + body[:2] + b"\x00\x01")
        elif kind == PUBACK:
            self.acknowledged += 1
        elif kind == PUBLISH:
            self.published.append(body)
            at = 2 + int.from_bytes(body[:2], "big")
            if self.is_kind:
                self.send(b"\x40\x02" + body[at : at + 2])


def a_publish(topic: str, payload: bytes, qos: int = 1) -> bytes:
    """Return a short message as a packet."""
    name = topic.encode()
    body = len(name).to_bytes(2, "big") + name + b"\x00\x07\x00" + payload
    assert len(body) < 128
    return bytes([PUBLISH << 4 | qos << 1, len(body)]) + body


@contextmanager
def hostile_mqtt() -> Iterator[HostileMqttBroker]:
    """Yield a broker that ends with the block."""
    broker = HostileMqttBroker()
    try:
        yield broker
    finally:
        broker.close()


def _length(read: Callable[[int], bytes]) -> int:
    length, shift = 0, 0
    while True:
        byte = read(1)[0]
        length |= (byte & 127) << shift
        if byte < 128:
            return length
        shift += 7
