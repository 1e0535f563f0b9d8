"""A lost bank, made again in a process of its own."""

import sys
from pathlib import Path

from steadyline.child_process import ChildCommand, ChildProcess


class BankRebuildProcess:
    """Makes a lost bank again in a process of its own; nothing here waits for it."""

    def __init__(self, line: Path, product: str) -> None:
        command = [sys.executable, "-P", "-m", "trainer", "bank", "rebuild", "--line", str(line)]
        self._command = ChildCommand([*command, "--product", product, "--child"], ends_with_parent=True)
        self._child: ChildProcess | None = None

    @property
    def is_started(self) -> bool:
        """True from ``start`` to ``stop``, also when the process has ended."""
        return self._child is not None

    def start(self) -> None:
        """Start the process."""
        self._child = ChildProcess(self._command)

    def poll(self) -> int | None:
        """Return the exit status of the process, None while it runs or was not started."""
        return None if self._child is None else self._child.poll()

    def stop(self) -> None:
        """End the process, if one runs."""
        if self._child is not None:
            self._child.kill()
            self._child = None
