"""An endpoint of webhooks on a loopback port, which answers as a test wants it to."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from typing_extensions import override


@dataclass(frozen=True, slots=True)
class PostSeen:
    """One request as it came in; header names in lower case."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def alert(self) -> dict[str, Any]:
        """What a CloudEvent carries."""
        found = json.loads(self.body)["data"]
        assert isinstance(found, dict)
        return found


@dataclass(frozen=True, slots=True)
class PlannedAnswer:
    """What the endpoint answers."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b"ok"
    chunks: Callable[[], Iterator[bytes]] | None = None  # in place of the body, until the other side leaves


@dataclass
class WebhookReceiver:
    """Keeps each request; ``answer`` decides on what it is told, and may block."""

    url: str
    answer: Callable[[PostSeen], PlannedAnswer]
    seen: list[PostSeen] = field(default_factory=list)
    connections: list[str] = field(default_factory=list)

    def ids(self) -> list[str]:
        """Return the ids of the deliveries, in the order of their coming."""
        return [post.headers["webhook-id"] for post in list(self.seen)]

    def changes(self) -> list[tuple[str, int]]:
        """Return incident and sequence of each alert, in the order of their coming."""
        return [(post.alert["incident"], post.alert["sequence"]) for post in list(self.seen)]


class _ReceiverServer(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    receiver: WebhookReceiver

    @override
    def handle_error(self, request: Any, client_address: Any) -> None:
        """The other side may leave at any time."""


class _ReceiverHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _ReceiverServer

    def do_POST(self) -> None:
        length = int(self.headers.get("content-length", 0))
        body = self.rfile.read(length)
        if len(body) < length:  # its sender was killed within the request
            self.close_connection = True
            return
        post = PostSeen(self.path, {name.lower(): text for name, text in self.headers.items()}, body)
        self.server.receiver.seen.append(post)
        self._give(self.server.receiver.answer(post))

    def do_GET(self) -> None:
        seen = PostSeen(self.path, {name.lower(): text for name, text in self.headers.items()}, b"")
        self.server.receiver.seen.append(seen)
        self._give(self.server.receiver.answer(seen))

    def _give(self, planned: PlannedAnswer) -> None:
        try:
            self.send_response(planned.status)
            for name, text in planned.headers.items():
                self.send_header(name, text)
            if planned.chunks is None:
                self.send_header("content-length", str(len(planned.body)))
            self.end_headers()
            for piece in planned.chunks() if planned.chunks is not None else [planned.body]:
                self.wfile.write(piece)
            self.close_connection = planned.chunks is not None
        except OSError:  # the other side has had enough
            self.close_connection = True

    @override
    def setup(self) -> None:
        self.server.receiver.connections.append(str(self.client_address[0]))
        super().setup()

    @override
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def webhook_receiver(
    answer: Callable[[PostSeen], PlannedAnswer] = lambda _: PlannedAnswer(),
    host: str = "127.0.0.1",
    port: int = 0,
) -> Iterator[WebhookReceiver]:
    """Yield an endpoint on a free port that serves until the end of the block."""
    server = _ReceiverServer((host, port), _ReceiverHandler)
    server.receiver = WebhookReceiver(f"http://{host}:{server.server_address[1]}/hook", answer)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server.receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
