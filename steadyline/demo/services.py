"""The services of the demonstration as child processes, each with its own log."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from steadyline.errors import Fatal

STOP_SECONDS = 30.0
TAIL_LINES = 25


class ServiceDied(Fatal):
    """A service of the demonstration ended by itself."""

    reason = "service_died"


class Service:
    """One ``python -m <name> …`` process; its output goes to ``<logs>/<name>.log``."""

    def __init__(
        self, name: str, arguments: Sequence[str], environment: Mapping[str, str], logs: Path
    ) -> None:
        self.name = name
        logs.mkdir(parents=True, exist_ok=True)
        self.log = logs / f"{name}.log"
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", name, *arguments],
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def check(self) -> None:
        """Raise ServiceDied with the end of its log when the process is gone."""
        status = self._process.poll()
        if status is not None:
            raise ServiceDied(
                f"{self.name} ended with status {status}; the end of {self.log}:\n{self.tail()}"
            )

    def tail(self) -> str:
        """Return the last lines of the log."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(lines[-TAIL_LINES:])

    def stop(self) -> int:
        """End it by SIGTERM, by SIGKILL when that takes too long; returns its exit status."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()
