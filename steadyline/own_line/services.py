"""The services of a line as child processes of this one, each with a log of its own."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from steadyline.child_process import ChildCommand, ChildProcess
from steadyline.errors import Fatal

STOP_SECONDS = 30.0
TOKEN_SECONDS = 120.0  # at most, for the first token: it makes the database's tables too


class ServiceDied(Fatal):
    """A service ended by itself."""

    reason = "service_died"


class NoFirstToken(Fatal):
    """The first token of the alerts' API could not be made."""

    reason = "no_first_token"

    def __init__(self, *lines: str, status: int | None = None) -> None:
        super().__init__(*lines)
        self.status = status


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

    def poll(self) -> int | None:
        """Return the exit status, None while it runs."""
        return self._child.poll()

    def check(self) -> None:
        """Raise ServiceDied with the end of its log when the process is gone."""
        status = self.poll()
        if status is not None:
            raise ServiceDied(
                f"{self.name} ended with status {status}; the end of {self.log}:", *self.tail().splitlines()
            )

    def tail(self) -> str:
        """Return the last lines of the log."""
        return self._child.tail()

    def kill(self) -> int:
        """End it by SIGKILL, as a loss of power would; returns its exit status."""
        return self._child.kill()

    def stop(self) -> int:
        """End it by SIGTERM, by SIGKILL when that takes too long; returns its exit status."""
        return self._child.stop(STOP_SECONDS)


def first_token(environment: Mapping[str, str]) -> str:
    """Return the first token of the alerts' API, made on the machine of the database.

    Raises NoFirstToken with the status of who makes it: EXIT_USAGE where there are tokens already.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "alerts", "first-token"],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=TOKEN_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise NoFirstToken(f"alerts first-token did not end within {TOKEN_SECONDS:.0f} s") from error
    if done.returncode != 0:
        raise NoFirstToken(
            f"alerts first-token failed with {done.returncode}:",
            *done.stderr[-2000:].splitlines(),
            status=done.returncode,
        )
    token = done.stdout.strip()
    if not token:
        raise NoFirstToken("alerts first-token printed no token")
    return token
