"""A TCP proxy between a service and a server, which can answer late or never."""

import contextlib
import socket
import threading
import time
from types import TracebackType
from typing import Self

CHUNK = 1 << 16
LOOK_SECONDS = 0.05
NEVER = float("inf")


class Proxy:
    """Passes bytes between its own ``address`` and a server; each answer waits ``seconds`` before it goes on.

    The time may change while connections are open. A connection that waits for ever goes on once it may.
    """

    def __init__(self, server: str) -> None:
        host, _, port = server.rpartition(":")
        self._server = host, int(port)
        self.seconds = 0.0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._closed = threading.Event()
        threading.Thread(target=self._accept, name="proxy", daemon=True).start()

    @property
    def address(self) -> str:
        """Where the proxy answers, as host:port."""
        return f"127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed.set()
        self._listener.close()

    def _accept(self) -> None:
        while not self._closed.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(self._server, 5)
            except OSError:
                client.close()  # as a server that is away refuses it
                continue
            server.settimeout(None)
            for source, target, is_answer in ((client, server, False), (server, client, True)):
                threading.Thread(
                    target=self._pass, args=(source, target, is_answer), name="proxy", daemon=True
                ).start()

    def _pass(self, source: socket.socket, target: socket.socket, is_answer: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(CHUNK):
                if is_answer:
                    self._wait()
                target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _wait(self) -> None:
        """Wait as long as an answer must, by the time that is set meanwhile."""
        began = time.monotonic()
        while not self._closed.is_set() and time.monotonic() - began < self.seconds:
            time.sleep(LOOK_SECONDS)
