"""One service of the line as a child process that is started again when it ends, as a supervisor does."""

import json
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from steadyline.child_process import ChildCommand, ChildProcess

RESTART_SECONDS = 1.0
STOP_SECONDS = 30.0


class SupervisedService:
    """``python -m MODULE …`` with its output in ``log``; ``look`` starts it again a second after its end."""

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self.name, self.log = name, log
        self.endings: Counter[int] = Counter()  # exit statuses; negative is the signal
        self._command = [sys.executable, "-P", "-m", *command]
        self._environment = {**os.environ, **environment}
        self._lock = threading.Lock()
        self._is_wanted = True
        self._ended_at = 0.0
        self._child: ChildProcess | None = None
        self._start()

    @property
    def pid(self) -> int:
        """The process id of the process that runs, or ran last."""
        assert self._child is not None
        return self._child.pid

    @property
    def is_alive(self) -> bool:
        """True while a process runs."""
        return self._child is not None and self._child.poll() is None

    def look(self) -> None:
        """Note an end, and start the service again when it is time; called several times a second."""
        with self._lock:
            if not self._is_wanted or self._child is None:
                return
            status = self._child.poll()
            if status is None:
                return
            if not self._ended_at:
                self._ended_at = time.monotonic()
                self.endings[status] += 1
            elif time.monotonic() - self._ended_at > RESTART_SECONDS:
                self._start()

    def kill(self) -> None:
        """End the process by SIGKILL."""
        assert self._child is not None
        self._child.send_signal(signal.SIGKILL)

    def freeze(self) -> None:
        """Suspend the process where it stands (SIGSTOP)."""
        assert self._child is not None
        self._child.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a suspended process go on."""
        assert self._child is not None
        self._child.send_signal(signal.SIGCONT)

    def stop(self) -> int:
        """End it for good by SIGTERM, by SIGKILL when that takes too long; return its exit status."""
        with self._lock:
            self._is_wanted = False
            assert self._child is not None
            return self._child.stop(STOP_SECONDS)

    def said(self, since: int = 0) -> list[dict[str, object]]:
        """Return the lines of its log behind the first ``since`` bytes, as far as they are JSON."""
        with self.log.open("rb") as log:
            log.seek(since)
            lines = log.read().decode(errors="replace").splitlines()
        found = []
        for line in lines:
            try:
                row = json.loads(line)
            except ValueError:
                continue  # a line that is half written, or of a library
            if isinstance(row, dict):
                found.append(row)
        return found

    def log_size(self) -> int:
        """Return the bytes of its log, to be given to ``said``."""
        return self.log.stat().st_size

    def _start(self) -> None:
        self._ended_at = 0.0
        self._child = ChildProcess(
            ChildCommand(
                self._command,
                log=self.log,
                environment=self._environment,
                folder=self.log.parent,
                own_session=False,
            )
        )
