"""One service of a line as a real child process: its log, its health pages, its bad days."""

import json
import re
import signal
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from steadyline.child_process import ChildCommand, ChildProcess
from steadyline.servers.procfs import start_time
from tests.support.eventually import eventually

STARTED_WITHIN = 120.0  # seconds; two cores, shared with other tests
STOPPED_WITHIN = 60.0  # seconds; a service may drain, and a trainer ends its training first
TAIL = 3000  # characters of the log that a failed test shows


class ServiceProcess:
    """``python -m SERVICE …`` with its output in one log file, a line of JSON an event.

    ``environment`` is the whole environment of the process, ``log`` the file it writes to, and the folder of
    the log its working directory.
    """

    def __init__(self, arguments: list[str], environment: Mapping[str, str], log: Path) -> None:
        self._arguments, self._environment, self.log = arguments, environment, log
        self._process: ChildProcess | None = None
        self._port = 0

    def start(self) -> None:
        """Start the process; its log begins anew."""
        self.log.write_bytes(b"")
        command = ChildCommand(
            [sys.executable, "-P", "-m", *self._arguments],
            log=self.log,
            environment=self._environment,
            folder=self.log.parent,
            own_session=False,
        )
        self._process = ChildProcess(command)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._running.pid

    def poll(self) -> int | None:
        """Return the exit status, None while the process runs."""
        return self._running.poll()

    @property
    def is_alive(self) -> bool:
        """True while the process runs."""
        return self.poll() is None

    def stop(self, within: float = STOPPED_WITHIN) -> int:
        """End the process by SIGTERM once it handles signals, and return its exit status.

        Raises AssertionError with the end of the log when it still runs ``within`` seconds later.
        """
        self.port()
        self._running.send_signal(signal.SIGTERM)
        return self.wait(within)

    def wait(self, within: float = STOPPED_WITHIN) -> int:
        """Return the exit status of a process that ends by itself, as ``stop`` does."""
        status = self._running.wait(within)
        if status is None:
            self.kill()
            raise AssertionError(f"it still runs; the end of its log:\n{self.tail()}")
        return status

    def kill(self) -> None:
        """End the process by SIGKILL and wait until it is gone; nothing when it has ended already."""
        self._running.kill()

    def freeze(self) -> None:
        """Suspend the process where it stands (SIGSTOP)."""
        self._running.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a suspended process go on (SIGCONT)."""
        self._running.send_signal(signal.SIGCONT)

    def text(self) -> str:
        """Return the whole log so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def tail(self, characters: int = TAIL) -> str:
        """Return the end of the log."""
        return self.text()[-characters:]

    def said(self, event: str, **fields: object) -> list[dict[str, Any]]:
        """Return the lines of the log with this event and these fields, oldest first."""
        rows = [
            json.loads(line) for line in self.text().splitlines() if line.startswith("{") and line[-1] == "}"
        ]
        wanted = {"event": event, **fields}
        return [row for row in rows if all(row.get(name) == value for name, value in wanted.items())]

    def until_said(
        self, event: str, within: float = STARTED_WITHIN, count: int = 1, **fields: object
    ) -> dict[str, Any]:
        """Wait until the log has ``count`` such lines and return the newest.

        A process that ends without it fails the test at once.
        """

        def found() -> list[dict[str, Any]]:
            is_alive = self.is_alive  # before the log is read, so that its last words count
            rows = self.said(event, **fields)
            assert len(rows) >= count or is_alive, "it has ended"
            return rows if len(rows) >= count else []

        try:
            return eventually(found, within, f"{event} {fields}")[-1]
        except AssertionError as error:
            raise AssertionError(f"{error}; the end of its log:\n{self.tail()}") from error

    def until_training(self, count: int = 1) -> int:
        """Wait for the ``count``-th training process that a trainer starts, and return its process id."""
        return int(self.until_said("training_started", count=count)["training"])

    def port(self) -> int:
        """Return the port of the health pages; a process that has one handles signals."""
        if not self._port:
            self._port = int(self.until_said("health_server_started")["port"])
        return self._port

    def page(self, name: str) -> tuple[int, Any]:
        """Return the HTTP status and the JSON of a health page: ``livez`` or ``readyz``."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port()}/{name}", timeout=10) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    def readiness(self) -> dict[str, str]:
        """Return what the service waits for; empty when it is ready."""
        waiting: dict[str, str] = self.page("readyz")[1]["waiting_for"]
        return waiting

    def is_live(self) -> bool:
        """Return what ``/livez`` says."""
        return bool(self.page("livez")[1]["live"])

    def until_ready(self, within: float = 30.0) -> None:
        """Wait until the service waits for nothing more."""
        try:
            eventually(lambda: not self.readiness(), within, "ready")
        except AssertionError as error:
            raise AssertionError(f"{error}; the end of its log:\n{self.tail()}") from error

    def series(self, name: str, **labels: str) -> list[float]:
        """Return the values of a metric's series that have these labels; empty while there is none."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port()}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        wanted = [f'{key}="{value}"' for key, value in labels.items()]
        rows = [line for line in lines if re.match(rf"{name}[{{ ]", line)]
        return [float(row.rsplit(" ", 1)[1]) for row in rows if all(item in row for item in wanted)]

    def metric(self, name: str, **labels: str) -> float:
        """Return the sum of a metric's series that have these labels; 0 while there is none."""
        return sum(self.series(name, **labels))

    @property
    def _running(self) -> ChildProcess:
        assert self._process is not None, "it was not started"
        return self._process


def is_gone(pid: int) -> bool:
    """True when no process has this id any more."""
    return start_time(pid) is None
