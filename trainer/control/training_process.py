"""A training as a child process: the serving loop stays alive and light, and a killed training is resumed.

The child ends with its parent, so two trainings of one product never write to one checkpoint.
"""

import sys
from pathlib import Path

from steadyline.child_process import ChildCommand, ChildProcess
from trainer.progress import Progress

STOP_SECONDS = 20.0


class TrainingProcess:
    """One running child: ``python -m trainer job --line … --work …``."""

    def __init__(self, line: Path, work: Path) -> None:
        command = [sys.executable, "-P", "-m", "trainer", "job"]
        command += ["--line", str(line), "--work", str(work)]
        self.progress = Progress("start", 0, 0)
        self._child = ChildProcess(ChildCommand(command, on_line=self._on_line, ends_with_parent=True))

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._child.pid

    def poll(self) -> int | None:
        """Return the exit status, None while it runs; negative is the signal that ended it."""
        return self._child.poll()

    def stop(self) -> None:
        """End it; the checkpoint stays for the next one."""
        self._child.stop(STOP_SECONDS)

    def _on_line(self, line: str) -> None:
        self.progress = Progress.parse(line) or self.progress
