"""A subscriber whose answers can be changed."""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from typing_extensions import override


class SwitchedEndpoint:
    """An endpoint of webhooks that answers with ``status``."""

    def __init__(self) -> None:
        self.status = 204
        self.taken = 0
        self._server = _SwitchedServer(("127.0.0.1", 0), _SwitchedHandler)
        self._server.endpoint = self
        Thread(target=self._server.serve_forever, name="endpoint", daemon=True).start()

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self._server.server_port}/hook"

    def close(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()


class _SwitchedServer(ThreadingHTTPServer):
    daemon_threads = True
    endpoint: SwitchedEndpoint


class _SwitchedHandler(BaseHTTPRequestHandler):
    server: _SwitchedServer

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        self.server.endpoint.taken += 1
        self.send_response(self.server.endpoint.status)
        self.send_header("content-length", "0")
        self.end_headers()

    @override
    def log_message(self, format: str, *args: Any) -> None:
        """Requests are not news."""
