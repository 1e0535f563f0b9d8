"""Endpoints of webhooks that are healthy, slow, flapping or dead, and what each of them has got."""

import json
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from typing_extensions import override

from steadyline.contracts.alert import Alert
from steadyline.servers.ports import free_ports

SLOW_SECONDS = 0.05
FLAP_SECONDS, FLAP_DOWN_SECONDS = 6.0, 1.0  # of every six seconds it fails for one
TAKEN, AWAY = 204, 503

Answer = Callable[[], int]  # waits as long as the endpoint does, and returns its HTTP status
Change = tuple[str, int]  # incident, and the number of the change within it


@dataclass(frozen=True, slots=True)
class Arrival:
    """One alert that an endpoint has taken."""

    id: str
    at: datetime
    alert: Alert

    @property
    def change(self) -> Change:
        """Which change it is."""
        return self.alert.incident, self.alert.sequence


@dataclass(slots=True)
class BenchEndpoint:
    """One endpoint; a dead one has no server behind its address, and gets nothing."""

    name: str
    url: str
    is_live: bool = True
    arrivals: list[Arrival] = field(default_factory=list)
    refused: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, status: int, id: str, body: bytes) -> None:
        """Note a request and how it was answered."""
        alert = Alert.decode(json.dumps(json.loads(body)["data"]).encode())
        with self._lock:
            if status == TAKEN:
                self.arrivals.append(Arrival(id, datetime.now(UTC), alert))
            else:
                self.refused += 1

    def changes(self) -> set[Change]:
        """Return what it has got."""
        with self._lock:
            return {arrival.change for arrival in self.arrivals}

    def doubled(self) -> int:
        """Return how many alerts came once more."""
        return len(self.arrivals) - len({arrival.id for arrival in self.arrivals})

    def out_of_order(self) -> int:
        """Return how many alerts came after a later one of their incident."""
        newest, found = defaultdict[str, int](int), 0
        for arrival in self.arrivals:
            incident, sequence = arrival.change
            found += sequence < newest[incident]
            newest[incident] = max(newest[incident], sequence)
        return found


def at_once() -> int:
    """Take an alert."""
    return TAKEN


def slowly() -> int:
    """Take an alert after a while."""
    time.sleep(SLOW_SECONDS)
    return TAKEN


def flapping() -> int:
    """Take an alert unless it is one of the bad moments."""
    return AWAY if time.monotonic() % FLAP_SECONDS < FLAP_DOWN_SECONDS else TAKEN


@contextmanager
def five_endpoints() -> Iterator[list[BenchEndpoint]]:
    """Yield two healthy endpoints, a slow one, a flapping one and a dead one."""
    answers = {"healthy": at_once, "healthy too": at_once, "slow": slowly, "flapping": flapping}
    with ExitStack() as stack:
        made = [stack.enter_context(endpoint(name, answer)) for name, answer in answers.items()]
        dead = BenchEndpoint("dead", f"http://127.0.0.1:{free_ports(1)[0]}/", is_live=False)
        yield [*made, dead]


@contextmanager
def endpoint(name: str, answer: Answer = at_once) -> Iterator[BenchEndpoint]:
    """Yield an endpoint on a free port that serves until the end of the block."""
    server = _BenchServer(("127.0.0.1", 0), _BenchHandler)
    server.answer = answer
    server.endpoint = BenchEndpoint(name, f"http://127.0.0.1:{server.server_port}/")
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), name=name, daemon=True)
    thread.start()
    try:
        yield server.endpoint
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)


class _BenchServer(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    endpoint: BenchEndpoint
    answer: Answer

    @override
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A sender that was killed leaves in the middle of a request."""


class _BenchHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _BenchServer

    def do_POST(self) -> None:
        size = int(self.headers["content-length"])
        body = self.rfile.read(size)
        if len(body) < size:  # its sender was killed
            self.close_connection = True
            return
        status = self.server.answer()
        self.server.endpoint.note(status, self.headers["webhook-id"], body)
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    @override
    def log_message(self, format: str, *args: Any) -> None:
        """Requests are not news."""
