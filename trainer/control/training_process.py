"""A training as a child process: the serving loop stays alive and light, and a killed training is resumed.

The child holds the reading end of a pipe that only its parent writes to. When the parent is gone, killed or
not, the pipe ends and so does the child: two trainings of one product never write to one checkpoint.
"""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

from trainer.progress import Progress

STOP_SECONDS = 20.0


class TrainingProcess:
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


def exit_with_parent() -> None:
    """In the child: end at once when the parent is gone (its end of our standard input closes)."""

    def wait() -> None:
        while os.read(0, 1):
            pass
        os._exit(128 + signal.SIGHUP)

    threading.Thread(target=wait, name="parent", daemon=True).start()
