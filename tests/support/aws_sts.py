"""What gives a process its AWS credentials, on a bad day: it never answers, or it refuses."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from typing_extensions import override

REFUSAL = (
    b"<ErrorResponse><Error><Code>AccessDenied</Code><Message>not this role</Message></Error></ErrorResponse>"
)


@contextmanager
def never_answering() -> Iterator[str]:
    """Yield the address of a service that takes every question and answers none."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@contextmanager
def refusing() -> Iterator[str]:
    """Yield the address of an STS that gives nobody a role."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _RefusalHandler)
    thread = threading.Thread(target=server.serve_forever, name="sts", daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)


class _RefusalHandler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(403)
        self.send_header("Content-Type", "text/xml")
        self.send_header("Content-Length", str(len(REFUSAL)))
        self.end_headers()
        self.wfile.write(REFUSAL)

    @override
    def log_message(self, format: str, *args: Any) -> None:
        """Requests are not news."""
