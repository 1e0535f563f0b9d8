"""One server as a child process: started, proven ready, recorded, stopped by its process id."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from steadyline.errors import Fatal

POLL_SECONDS = 0.05
TAIL_LINES = 30
# An orphan gets this long to end by itself before it is killed.
ORPHAN_SECONDS = 10.0


class ServerFailed(Fatal):
    """A local server did not start or did not become ready; the message ends with the end of its log."""

    reason = "server_failed"


@dataclass(frozen=True, slots=True)
class Launch:
    """How to start one server and how to know that it answers."""

    name: str
    command: Sequence[str]
    is_ready: Callable[[], bool]
    environment: Mapping[str, str] | None = None
    ready_seconds: float = 60.0
    stop_seconds: float = 20.0


class ServerProcess:
    """Runs one server in its own session, its output in ``<home>/logs/<name>.log``.

    Its process id and start time are recorded in ``<home>/<name>.pid``, so that a later start in the same
    home finds and ends what a killed run has left behind.
    """

    def __init__(self, launch: Launch, home: Path) -> None:
        self.launch, self._home = launch, home
        self.log = home / "logs" / f"{launch.name}.log"
        self._record = home / f"{launch.name}.pid"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id; raises ServerFailed when it was never started."""
        if self._process is None:
            raise ServerFailed(f"{self.launch.name} was not started")
        return self._process.pid

    def start(self) -> None:
        """Start and wait until a real request is answered by this very child."""
        end_orphan(self._record)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                list(self.launch.command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=None if self.launch.environment is None else dict(self.launch.environment),
                start_new_session=True,
            )
        record = {"pid": self._process.pid, "started": start_time(self._process.pid)}
        self._record.write_text(json.dumps(record), encoding="utf-8")
        self._wait_ready()

    def stop(self) -> None:
        """SIGTERM, then SIGKILL to the whole session when it takes too long; harmless when it is gone."""
        if self._process is None:
            return
        self._signal_group(signal.SIGTERM)
        try:
            self._process.wait(self.launch.stop_seconds)
        except subprocess.TimeoutExpired:
            self._signal_group(signal.SIGCONT)
        self._signal_group(signal.SIGKILL)  # whatever the leader has left behind in its session
        self._process.wait()
        self._record.unlink(missing_ok=True)

    def kill9(self) -> None:
        """SIGKILL to the server and what it started: the bad day."""
        self._signal_group(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()

    def restart(self) -> None:
        """Start again on the same home and ports; ends the old one first when it still runs."""
        self.stop()
        self.start()

    def suspend(self) -> None:
        """Freeze the server (SIGSTOP)."""
        self._signal_group(signal.SIGSTOP)

    def resume(self) -> None:
        """Undo ``suspend``."""
        self._signal_group(signal.SIGCONT)

    def tail(self) -> str:
        """Return the last lines of its log."""
        if not self.log.exists():
            return "(no log)"
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-TAIL_LINES:])

    def _wait_ready(self) -> None:
        assert self._process is not None
        end = time.monotonic() + self.launch.ready_seconds
        while True:
            status = self._process.poll()
            if status is not None:
                self._record.unlink(missing_ok=True)
                raise ServerFailed(
                    f"{self.launch.name} ended with status {status} at start; "
                    f"the end of {self.log}:\n{self.tail()}"
                )
            if self.launch.is_ready() and self._process.poll() is None:
                return
            if time.monotonic() > end:
                self.stop()
                raise ServerFailed(
                    f"{self.launch.name} did not answer within {self.launch.ready_seconds:.0f} s; "
                    f"the end of {self.log}:\n{self.tail()}"
                )
            time.sleep(POLL_SECONDS)

    def _signal_group(self, number: int) -> None:
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            return


def start_time(pid: int) -> int | None:
    """Return the kernel's start time of a process in clock ticks; None when it is gone.

    With the process id it names one process for ever: a recycled id has another start time.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = text.rsplit(")", 1)[1].split()
    return None if fields[0] == "Z" else int(fields[19])


def end_orphan(record: Path) -> bool:
    """End the process that ``record`` names, if it is still that very process; True when there was one."""
    try:
        known = json.loads(record.read_text(encoding="utf-8"))
        pid, started = int(known["pid"]), known["started"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    if started is None or start_time(pid) != started:
        record.unlink(missing_ok=True)
        return False
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(pid, number)
        except ProcessLookupError:
            break
        end = time.monotonic() + ORPHAN_SECONDS
        while start_time(pid) == started and time.monotonic() < end:
            time.sleep(POLL_SECONDS)
        if start_time(pid) != started:
            break
    record.unlink(missing_ok=True)
    return True
