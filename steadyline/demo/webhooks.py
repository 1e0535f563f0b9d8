"""The demonstration's own endpoint of webhooks: it believes an alert only when its signature is right."""

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from typing_extensions import override

from steadyline.contracts.alert import Alert
from steadyline.errors import PoisonMessage

FRESH = timedelta(minutes=5)  # as Standard Webhooks advise: a request caught on its way is no use later
_PREFIX = "whsec_"
_MOST_BYTES = 1 << 20
_POLL_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class TakenAlert:
    """An alert that came with a right signature; ``delivery`` is the same each time it comes."""

    delivery: str
    at: datetime
    alert: Alert


class AlertEndpoint:
    """Listens on a free port of loopback until ``close``; takes nothing before it is told the secret."""

    def __init__(self) -> None:
        self.secret: str | None = None
        self._lock = threading.Lock()
        self._taken: list[TakenAlert] = []
        self._refused = 0
        self._server = _EndpointServer(("127.0.0.1", 0), _EndpointHandler)
        self._server.endpoint = self
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_POLL_SECONDS,), name="webhooks", daemon=True
        )
        self._thread.start()

    @property
    def url(self) -> str:
        """Where alerts are to be sent."""
        return f"http://127.0.0.1:{self._server.server_port}/alerts"

    @property
    def taken(self) -> list[TakenAlert]:
        """What came with a right signature, in the order of its coming."""
        with self._lock:
            return list(self._taken)

    @property
    def refused(self) -> int:
        """How many requests were not believed."""
        with self._lock:
            return self._refused

    def take(self, headers: Mapping[str, str], body: bytes) -> int:
        """Return the HTTP status that answers a request; what is signed is kept."""
        now = datetime.now(UTC)
        if self.secret is None or not is_signed(self.secret, headers, body, now):
            with self._lock:
                self._refused += 1
            return 401
        try:
            alert = Alert.decode(json.dumps(json.loads(body)["data"]).encode())
        except (ValueError, KeyError, TypeError, PoisonMessage):
            with self._lock:
                self._refused += 1
            return 400
        with self._lock:
            self._taken.append(TakenAlert(headers["webhook-id"], now, alert))
        return 204

    def close(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=5)


def is_signed(secret: str, headers: Mapping[str, str], body: bytes, now: datetime) -> bool:
    """Tell whether a request carries a signature of Standard Webhooks that ``secret`` made lately.

    ``headers`` have lower-case names. The signature is over id, time and body; of several any may fit.
    """
    id, sent, marks = (headers.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature"))
    if not (id and sent.isdecimal() and abs(now.timestamp() - int(sent)) <= FRESH.total_seconds()):
        return False
    key = base64.b64decode(secret.removeprefix(_PREFIX))
    content = b".".join((id.encode(), sent.encode(), body))
    right = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest())
    offered = [mark.partition(",") for mark in marks.split()]
    return any(version == "v1" and hmac.compare_digest(mark.encode(), right) for version, _, mark in offered)


class _EndpointServer(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    endpoint: AlertEndpoint

    @override
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever sends may leave at any time."""


class _EndpointHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _EndpointServer

    def do_POST(self) -> None:
        length = self.headers.get("content-length", "")
        size = int(length) if length.isdecimal() else _MOST_BYTES + 1
        if size > _MOST_BYTES:
            self.close_connection = True
            return self._answer(413)
        body = self.rfile.read(size)
        self._answer(self.server.endpoint.take({k.lower(): v for k, v in self.headers.items()}, body))

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    @override
    def log_message(self, format: str, *args: Any) -> None:
        """Requests are not news."""
