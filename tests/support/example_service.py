"""A small service on the runner of all services: ``python -m tests.support.example_service run [--fail …]``.

It does what the services do that serve HTTP: a server with an event loop and a flag of its own runs as a task
beside a task that follows something. ``--fail`` makes one part fail, once the server has answered.
"""

import asyncio
import contextlib
import sys
import threading
from collections.abc import Callable
from typing import Annotated

import typer

from steadyline.clock import SystemClock
from steadyline.errors import (
    ContractBroken,
    InvalidConfiguration,
    MalformedMessage,
    StoreUnavailable,
)
from steadyline.service import ServiceTasks, config_command, run, run_service, service_application
from steadyline.settings import TelemetrySettings, read_settings
from steadyline.telemetry.health import ServiceHealth
from steadyline.telemetry.logs import get_logger

HOSTILE = "a reply of [/x/a] and \x1b[31mred"  # what another machine may send

log = get_logger(__name__)
app = service_application("example", "Answers HTTP requests and follows nothing.")


def _raise(error: BaseException) -> None:
    raise error


FAILURES: dict[str, Callable[[], None]] = {
    "configuration": lambda: _raise(InvalidConfiguration(HOSTILE)),
    "unavailable": lambda: _raise(StoreUnavailable(HOSTILE)),
    "fatal": lambda: _raise(ContractBroken(HOSTILE)),
    "poison": lambda: _raise(MalformedMessage(HOSTILE)),
    "bug": lambda: _raise(ZeroDivisionError(HOSTILE)),
    "exit": lambda: sys.exit(1),
    "return": lambda: None,
}


class LoopServer:
    """An HTTP server of the shape of uvicorn's: ``run`` blocks its thread until ``should_exit`` is set."""

    def __init__(self) -> None:
        self.should_exit = False
        self.is_closed = False
        self.port = 0
        self.answered = threading.Event()

    def run(self) -> None:
        """Serve in an event loop of this thread; signal handlers are left alone."""
        asyncio.run(self._serve())
        self.is_closed = True

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        log.info("http_started", port=self.port)
        async with server:
            while not self.should_exit:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(asyncio.Event().wait(), 0.02)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
        await writer.drain()
        writer.close()
        self.answered.set()

    def ask_to_exit(self) -> None:
        """Let ``run`` return; may be called from any thread."""
        self.should_exit = True


@app.command("run")
def serve_http(
    fail: Annotated[str, typer.Option("--fail", help="What fails once a request was answered.")] = "",
    where: Annotated[str, typer.Option("--where", help="task or body.")] = "task",
) -> None:
    """Answer requests until a signal comes, or until the part that is to fail does."""
    server = LoopServer()

    def follow(ended: threading.Event) -> None:
        while not (ended.is_set() or server.answered.wait(0.02)):
            pass
        if fail and where == "task" and not ended.is_set():
            FAILURES[fail]()
            return
        ended.wait()

    def body(stop: threading.Event, health: ServiceHealth) -> None:
        with ServiceTasks(stop) as tasks:
            tasks.start("http", lambda _: server.run(), request_stop=server.ask_to_exit)
            tasks.start("follow", follow)
            health.set_ready("start", True)
            while not stop.wait(0.02):
                health.beat()
                if fail and where == "body" and server.answered.is_set():
                    FAILURES[fail]()
        log.info("http_stopped", closed=server.is_closed)

    run_service("example", read_settings(TelemetrySettings), SystemClock(), body)


app.command()(config_command(TelemetrySettings))


if __name__ == "__main__":
    sys.exit(run(app, None))
