"""One server as a child process: started, checked until ready, recorded, stopped by its process id."""

import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from steadyline.child_process import ChildCommand, ChildProcess
from steadyline.errors import Fatal
from steadyline.servers.orphan import end_orphan, write_record
from steadyline.servers.procfs import listens

POLL_SECONDS = 0.05


class ServerFailed(Fatal):
    """A local server did not start or did not become ready; the message ends with the end of its log."""

    reason = "server_failed"


def nothing() -> None:
    """Do nothing."""


@dataclass(frozen=True, slots=True)
class Launch:
    """How to start one server and how to check that it answers.

    The child itself must have opened ``ports`` before ``is_ready`` is called, because only its own answer
    counts. ``tidy`` removes what the server leaves outside of its home; it is called while the server does
    not run.
    """

    name: str
    command: Sequence[str]
    folder: Path
    ports: Sequence[int]
    is_ready: Callable[[], bool]
    environment: Mapping[str, str] | None = None
    ready_seconds: float = 120.0  # a laptop that compiles something else meanwhile is slow, not broken
    stop_seconds: float = 20.0
    tidy: Callable[[], None] = nothing


class ServerProcess:
    """Runs one server in its own session, with its output in ``<home>/logs/<name>.log``.

    Its process id and start time are recorded in ``<home>/<name>.pid``, so that a later start in the same
    home finds and ends what a killed run left. Setting ``cancel`` stops a start that still waits for
    readiness.
    """

    def __init__(self, launch: Launch, home: Path, cancel: threading.Event | None = None) -> None:
        self.launch = launch
        self.log = home / "logs" / f"{launch.name}.log"
        self._record = record_path(home, launch.name)
        self._cancel = cancel or threading.Event()
        self._child: ChildProcess | None = None

    @property
    def pid(self) -> int:
        """The process id; raises ServerFailed when it was never started."""
        if self._child is None:
            raise ServerFailed(f"{self.launch.name} was not started")
        return self._child.pid

    @property
    def is_alive(self) -> bool:
        """True while the process runs (also while it is suspended)."""
        return self._child is not None and self._child.poll() is None

    def start(self) -> None:
        """Start, and wait until this very child answers a real request; raises ServerFailed."""
        if self.is_alive:
            raise ServerFailed(f"{self.launch.name} runs already, as process {self.pid}")
        end_orphan(self._record)
        self.launch.tidy()
        self.launch.folder.mkdir(parents=True, exist_ok=True)
        self._child = ChildProcess(
            ChildCommand(
                self.launch.command,
                log=self.log,
                environment=self.launch.environment,
                folder=self.launch.folder,
            )
        )
        write_record(self._record, self._child.pid)
        try:
            self._wait_ready()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """SIGTERM, then SIGKILL to the whole session when it takes too long; harmless when it is gone."""
        if self._child is None:
            return
        self._child.stop(self.launch.stop_seconds)
        end_orphan(self._record)  # what it has left in other process groups of its session
        self.launch.tidy()

    def kill9(self) -> None:
        """SIGKILL to the server and all it started: the bad day."""
        if self._child is not None:
            self._child.kill()

    def restart(self) -> None:
        """Start again with the same home and ports; a server that still runs is stopped first."""
        self.stop()
        self.start()

    def suspend(self) -> None:
        """Freeze the server (SIGSTOP)."""
        self._send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Undo ``suspend``."""
        self._send_signal(signal.SIGCONT)

    def tail(self) -> str:
        """Return the last lines of its log."""
        return "(no log)" if self._child is None else self._child.tail()

    def ending(self) -> ServerFailed:
        """Return the error that says how it ended, with the end of its log."""
        status = None if self._child is None else self._child.poll()
        what = f"ended by signal {-status}" if status is not None and status < 0 else f"ended with {status}"
        return ServerFailed(f"{self.launch.name} {what}; the end of {self.log}:", *self.tail().splitlines())

    def _wait_ready(self) -> None:
        end = time.monotonic() + self.launch.ready_seconds
        while not self._is_ready():
            if not self.is_alive:
                raise self.ending()
            if self._cancel.is_set():
                raise ServerFailed(f"{self.launch.name}: the start was called off")
            if time.monotonic() > end:
                raise ServerFailed(
                    f"{self.launch.name} did not answer within {self.launch.ready_seconds:.0f} s; "
                    f"the end of {self.log}:",
                    *self.tail().splitlines(),
                )
            time.sleep(POLL_SECONDS)

    def _is_ready(self) -> bool:
        return all(listens(self.pid, port) for port in self.launch.ports) and self.launch.is_ready()

    def _send_signal(self, number: int) -> None:
        if self._child is not None:
            self._child.send_signal(number)


def record_path(home: Path, name: str) -> Path:
    """Return the path where the process id of a server is recorded."""
    return home / f"{name}.pid"
