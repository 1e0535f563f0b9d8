"""``/livez`` (every task advances), ``/readyz`` (with reasons) and ``/metrics`` on one port."""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any

from typing_extensions import override

from steadyline.clock import Clock
from steadyline.errors import InvalidConfiguration
from steadyline.telemetry import metrics

PROMETHEUS_TEXT = "text/plain; version=0.0.4; charset=utf-8"


MAIN = "main"  # the task of the service's own loop
MAX_SILENCE = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class _Heartbeat:
    at: float
    within: timedelta


class ServiceHealth:
    """The health of the process, written by its tasks and read by the health server.

    Each task beats for itself: one that hangs is silent, however well the others turn.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._beats: dict[str, _Heartbeat] = {}
        self._parts: dict[str, tuple[bool, str]] = {}
        self.beat()

    def beat(self, task: str = MAIN, within: timedelta = MAX_SILENCE) -> None:
        """Note that ``task`` advances, and that it beats again ``within`` this time or counts as silent."""
        with self._lock:
            self._beats[task] = _Heartbeat(self._clock.monotonic(), within)

    def forget(self, task: str) -> None:
        """Note that ``task`` has ended in order and beats no more."""
        with self._lock:
            self._beats.pop(task, None)

    def set_ready(self, part: str, ok: bool, reason: str = "") -> None:
        """Note whether ``part`` is ready; ``reason`` is shown while it is not."""
        with self._lock:
            self._parts[part] = (ok, reason)
        metrics.READY.set(int(ok), part=part)

    def live(self) -> tuple[bool, dict[str, Any]]:
        """Return whether every task has beaten in time, how long ago each did, and which are silent."""
        now = self._clock.monotonic()
        with self._lock:
            beats = dict(self._beats)
        silence = {task: round(now - beat.at, 3) for task, beat in beats.items()}
        silent = [task for task, beat in beats.items() if now - beat.at > beat.within.total_seconds()]
        metrics.LIVE.set(int(not silent))
        return not silent, {"live": not silent, "silent": silent, "silence_seconds": silence}

    def ready(self) -> tuple[bool, dict[str, Any]]:
        """Return whether every part is ready, and why not."""
        with self._lock:
            parts = dict(self._parts)
        ok = bool(parts) and all(state for state, _ in parts.values())
        waiting = {name: reason for name, (state, reason) in parts.items() if not state}
        return ok, {"ready": ok, "waiting_for": waiting if parts else {"start": "still starting"}}


class HealthServer:
    """Serves health, and metrics in Prometheus' text format, until ``close``.

    Raises InvalidConfiguration when the address is not available.
    """

    def __init__(self, host: str, port: int, health: ServiceHealth, metrics: Callable[[], bytes]) -> None:
        try:
            self._server = _Server((host, port), _handler(health, metrics))
        except OSError as error:
            raise InvalidConfiguration(
                f"STEADYLINE_HEALTH_HOST:PORT {host}:{port} cannot be had: {error.strerror}"
            ) from error
        self._thread = threading.Thread(target=self._server.serve_forever, name="health", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """The port that the server listens on."""
        return int(self._server.server_address[1])

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=5)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    @override
    def server_bind(self) -> None:
        """Bind without looking up the host's name, which can take seconds in a plant's network."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]


def _handler(health: ServiceHealth, metrics: Callable[[], bytes]) -> type[BaseHTTPRequestHandler]:
    class HealthRequestHandler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/metrics":
                health.live()  # it notes for the metrics which tasks have fallen silent since
                self._answer(200, PROMETHEUS_TEXT, metrics())
            elif self.path in ("/livez", "/readyz"):
                ok, body = health.live() if self.path == "/livez" else health.ready()
                self._answer(200 if ok else 503, "application/json", json.dumps(body).encode())
            else:
                self._answer(404, "text/plain", b"/livez, /readyz and /metrics are here\n")

        def _answer(self, status: int, content_type: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        @override
        def log_message(self, format: str, *args: Any) -> None:
            """Log nothing, because every scrape would be a line."""

    return HealthRequestHandler
