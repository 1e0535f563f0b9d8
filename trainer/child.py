"""A training as a child process: the serving loop stays alive and light, and a killed training is resumed.

The child holds the reading end of a pipe that only its parent writes to. When the parent is gone, killed or
not, the pipe ends and so does the child: two trainings of one product never write to one checkpoint.
"""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

STOP_SECONDS = 20.0

# Where in a whole training each phase lies, by the time it takes; a bank that is there already takes none.
PHASES = {
    "bank": (0.0, 0.1),
    "fit": (0.1, 0.85),
    "export": (0.85, 0.87),
    "calibrate": (0.87, 0.9),
    "measure": (0.9, 0.94),
    "measure_live": (0.94, 0.98),
    "floor": (0.98, 1.0),
}

Tell = Callable[[str, int, int], None]  # phase, done, of


@dataclass(frozen=True, slots=True)
class Progress:
    """What the child does: ``phase`` is one of PHASES, or "start"."""

    phase: str
    done: int
    total: int

    @property
    def ratio(self) -> float:
        """How far the training is, 0 to 1."""
        begins, ends = PHASES.get(self.phase, (0.0, 0.0))
        return begins + (ends - begins) * (self.done / self.total if self.total else 0.0)

    def line(self) -> str:
        """Return the line that the child writes to its standard output."""
        return json.dumps([self.phase, self.done, self.total])

    @staticmethod
    def parse(line: str) -> "Progress | None":
        """Return the progress of a line; None when it is something else."""
        try:
            phase, done, total = json.loads(line)
            return Progress(str(phase), int(done), int(total))
        except (ValueError, TypeError):
            return None


class Training:
    """One running child: ``python -m trainer job --line … --product …``."""

    def __init__(self, line: Path, product: str, work: Path) -> None:
        command = [sys.executable, "-P", "-m", "trainer", "job"]
        command += ["--line", str(line), "--product", product, "--work", str(work)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        self.progress = Progress("start", 0, 0)
        self._reader = threading.Thread(target=self._read, name=f"training-{product}", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._process.pid

    def poll(self) -> int | None:
        """Return the exit status, None while it runs; negative is the signal that ended it."""
        return self._process.poll()

    def stop(self) -> None:
        """End it; the checkpoint stays for the next one."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(STOP_SECONDS)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.progress = Progress.parse(line) or self.progress


class Rebuilding:
    """Makes a lost bank again in a process of its own; nothing here waits for it."""

    def __init__(self, line: Path, product: str) -> None:
        command = [sys.executable, "-P", "-m", "trainer", "bank", "rebuild", "--line", str(line)]
        self._command = [*command, "--product", product, "--child"]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def is_started(self) -> bool:
        """True from ``start`` to ``stop``, also when the process has ended."""
        return self._process is not None

    def start(self) -> None:
        """Start the process."""
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True
        )

    def poll(self) -> int | None:
        """Return the exit status of the process, None while it runs or was not started."""
        return None if self._process is None else self._process.poll()

    def stop(self) -> None:
        """End the process, if one runs."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process = None


def exit_with_parent() -> None:
    """In the child: end at once when the parent is gone (its end of our standard input closes)."""

    def wait() -> None:
        while os.read(0, 1):
            pass
        os._exit(128 + signal.SIGHUP)

    threading.Thread(target=wait, name="parent", daemon=True).start()
