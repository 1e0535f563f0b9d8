"""A lost bank, made again in a process of its own."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path

from steadyline.child_process import ChildCommand, ChildProcess


class BankRebuildProcess:
    """Makes a lost bank again in a process of its own; nothing here waits for it.

    ``made`` maps the digest of each bank that such a process has made to the digest of its normals: after an
    upgrade that draws otherwise it is one that no model was trained with.
    """

    def __init__(self, line: Path, product: str) -> None:
        command = [sys.executable, "-P", "-m", "trainer", "bank", "rebuild", "--line", str(line)]
        self._command = [*command, "--product", product, "--child"]
        self._child: ChildProcess | None = None
        self.made: dict[str, str] = {}

    @property
    def is_started(self) -> bool:
        """True from ``start`` to ``stop``, also when the process has ended."""
        return self._child is not None

    def start(self, known: Mapping[str, str]) -> None:
        """Start the process; it makes the newest bank that is ``known``, by its digest and its normals'."""
        pairs = [f"{bank}:{normals}" for bank, normals in sorted(known.items())]
        command = [*self._command, *(part for pair in pairs for part in ("--known", pair))]
        self._child = ChildProcess(ChildCommand(command, on_line=self._on_line, ends_with_parent=True))

    def poll(self) -> int | None:
        """Return the exit status of the process, None while it runs or was not started."""
        return None if self._child is None else self._child.poll()

    def stop(self) -> None:
        """End the process, if one runs."""
        if self._child is not None:
            self._child.kill()
            self._child = None

    def _on_line(self, line: str) -> None:
        try:
            bank, normals = json.loads(line)
        except ValueError:
            return
        self.made = {**self.made, str(bank): str(normals)}
