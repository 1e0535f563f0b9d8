"""Serves the application over HTTP, on a thread beside the intake."""

import socket
import threading
from collections.abc import Callable
from datetime import timedelta

import uvicorn
from fastapi import FastAPI

from steadyline.errors import InvalidConfiguration
from steadyline.telemetry.logs import get_logger

log = get_logger(__name__)

_BEAT = timedelta(seconds=1)
_LEAVE_SECONDS = 3  # for requests under way at a stop
_MOST_CONNECTIONS = 512


class ApiServer:
    """One listening socket, taken when this is made, so that a taken port is said at the start."""

    def __init__(self, app: FastAPI, host: str, port: int) -> None:
        """Raises InvalidConfiguration when the address is not available."""
        try:
            self._socket = socket.create_server(
                (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=512
            )
        except OSError as error:
            raise InvalidConfiguration(
                f"ALERTS_API_HOST and ALERTS_API_PORT: {host}:{port} cannot be listened on: {error.strerror}"
            ) from error
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=_MOST_CONNECTIONS,
            timeout_graceful_shutdown=_LEAVE_SECONDS,
            lifespan="off",
        )
        self._server = uvicorn.Server(config)

    @property
    def port(self) -> int:
        """The port that was taken."""
        return int(self._socket.getsockname()[1])

    def run(self, beat: Callable[[], None]) -> None:
        """Serve until ``request_stop``; ``beat`` is called every second while requests are answered."""
        log.info("api_started", port=self.port)
        serving = threading.Event()

        def heartbeat() -> None:
            while not serving.wait(_BEAT.total_seconds()):
                beat()

        pulse = threading.Thread(target=heartbeat, name="api-beat", daemon=True)
        pulse.start()
        try:
            self._server.run(sockets=[self._socket])
        finally:
            serving.set()
            pulse.join()

    def request_stop(self) -> None:
        """Take no more requests and end; safe from any thread."""
        self._server.should_exit = True

    def close(self) -> None:
        """Give the port back."""
        self._socket.close()
