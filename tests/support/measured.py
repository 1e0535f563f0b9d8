"""Processes under load: how much memory each used, and commands that must end in time."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import psutil

EVERY_SECONDS = 0.3
MIB = 1 << 20


@dataclass
class MemoryWatch:
    """Samples the resident memory of processes, in MiB, from ``watch`` until ``close``."""

    before: dict[str, float] = field(default_factory=dict)
    peak: dict[str, float] = field(default_factory=dict)
    _processes: dict[str, psutil.Process] = field(default_factory=dict)
    _stop: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._thread = threading.Thread(target=self._run, name="memory-watch", daemon=True)
        self._thread.start()

    def watch(self, name: str, pid: int) -> None:
        """Begin with a process; what it uses now is its memory before."""
        process = psutil.Process(pid)
        self.before[name] = self.peak[name] = process.memory_info().rss / MIB
        self._processes[name] = process

    def now(self, name: str) -> float:
        """Return what a process uses now; 0 when it is gone."""
        try:
            return float(self._processes[name].memory_info().rss) / MIB
        except psutil.Error:
            return 0.0

    def close(self) -> None:
        """Stop sampling."""
        self._stop.set()
        self._thread.join(10)

    def _run(self) -> None:
        while not self._stop.wait(EVERY_SECONDS):
            for name in list(self._processes):
                self.peak[name] = max(self.peak[name], self.now(name))


@dataclass(frozen=True, slots=True)
class EndedCommand:
    """How a command ended; ``peak`` is the most memory it used, in MiB."""

    status: int
    output: str
    errors: str
    seconds: float
    peak: float


def steadyline_command(
    arguments: Sequence[str], environment: Mapping[str, str], folder: str, within: float
) -> EndedCommand:
    """Run ``steadyline`` to its end; AssertionError with its stacks when it runs longer than ``within``."""
    began = os.times().elapsed
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "steadyline", *arguments],
        cwd=folder, env={**environment, "PYTHONFAULTHANDLER": "1"},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    watch = MemoryWatch()
    watch.watch("command", process.pid)
    try:
        output, errors = process.communicate(timeout=within)
    except subprocess.TimeoutExpired as error:
        process.send_signal(signal.SIGABRT)  # it says where it is
        _, where = process.communicate()
        raise AssertionError(f"{' '.join(arguments)} still ran after {within:g} s:\n{where}") from error
    finally:
        watch.close()
    return EndedCommand(process.returncode, output, errors, os.times().elapsed - began, watch.peak["command"])
