"""A lost bank, made again in a process of its own."""

import subprocess
import sys
from pathlib import Path


class BankRebuildProcess:
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
