"""A training as a child process: the serving loop stays alive and light, and a killed training is resumed.

The child ends with its parent, so two trainings of one product never write to one checkpoint.
"""

import sys
from datetime import timedelta
from pathlib import Path

from typing_extensions import override

from steadyline.child_process import ChildCommand, ChildProcess
from trainer.control.launch import Launcher, RunningTraining, TrainingEnd
from trainer.jobs.spec import JobSpec

STOP_SECONDS = 20.0


class TrainingProcess(RunningTraining):
    """One running child: ``python -m trainer job --line … --work … --child``."""

    def __init__(self, line: Path, work: Path) -> None:
        command = [sys.executable, "-P", "-m", "trainer", "job", "--child"]
        command += ["--line", str(line), "--work", str(work)]
        self._child = ChildProcess(ChildCommand(command, ends_with_parent=True))

    @property
    @override
    def name(self) -> str:
        return str(self._child.pid)

    @override
    def poll(self) -> TrainingEnd | None:
        status = self._child.poll()
        return None if status is None else TrainingEnd(f"status {status}", status == 0)

    @override
    def stop(self) -> None:
        self._child.stop(STOP_SECONDS)

    @override
    def leave(self) -> None:
        self.stop()


class ProcessLauncher(Launcher):
    """Trainings as child processes on this machine; their deadline is kept by who watches them."""

    def __init__(self, line: Path) -> None:
        self._line = line

    @override
    def start(self, spec: JobSpec, folder: Path, within: timedelta) -> RunningTraining:
        return TrainingProcess(self._line, folder)

    @override
    def clear(self, product: str) -> None:
        """Do nothing: a child of an earlier trainer has ended with it."""
