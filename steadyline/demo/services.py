"""The services of the demonstration as child processes, each with its own log."""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from steadyline.child_process import ChildCommand, ChildProcess
from steadyline.errors import Fatal

STOP_SECONDS = 30.0


class ServiceDied(Fatal):
    """A service of the demonstration ended by itself."""

    reason = "service_died"


class Service:
    """One ``python -m <name> …`` process; its output goes to ``<logs>/<name>.log``."""

    def __init__(
        self, name: str, arguments: Sequence[str], environment: Mapping[str, str], logs: Path
    ) -> None:
        self.name = name
        self.log = logs / f"{name}.log"
        self._child = ChildProcess(
            ChildCommand(
                [sys.executable, "-P", "-m", name, *arguments],
                log=self.log,
                environment={**os.environ, **environment},
                own_session=False,  # Ctrl-C reaches it, too
            )
        )

    @property
    def pid(self) -> int:
        """The process id."""
        return self._child.pid

    def check(self) -> None:
        """Raise ServiceDied with the end of its log when the process is gone."""
        status = self._child.poll()
        if status is not None:
            raise ServiceDied(
                f"{self.name} ended with status {status}; the end of {self.log}:\n{self.tail()}"
            )

    def tail(self) -> str:
        """Return the last lines of the log."""
        return self._child.tail()

    def stop(self) -> int:
        """End it by SIGTERM, by SIGKILL when that takes too long; returns its exit status."""
        return self._child.stop(STOP_SECONDS)
