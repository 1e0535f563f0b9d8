"""One trainer process as a test sees it: its log, its metrics, the training it has started."""

import json
import re
import signal
import subprocess
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from steadyline.servers.procfs import start_time
from tests.support.eventually import eventually

STARTED_WITHIN = 120.0  # two cores, shared with other tests


@dataclass
class RunningTrainer:
    """One trainer process and its log, a line of JSON an event."""

    process: "subprocess.Popen[bytes]"
    log: Path

    @property
    def is_alive(self) -> bool:
        """True while it runs."""
        return self.process.poll() is None

    def stop(self, within: float = 60.0) -> int:
        """End it by SIGTERM, once it minds signals; returns its exit status."""
        self.until_said("health_server_started")
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(within)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"still running; the log:\n{self.text()[-3000:]}") from None

    def kill(self) -> None:
        """End it by SIGKILL."""
        self.process.kill()
        self.process.wait()

    def text(self) -> str:
        """Return the log so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def said(self, event: str, **fields: object) -> list[dict[str, Any]]:
        """Return the log's lines of an event, oldest first, those with these fields."""
        rows = [
            json.loads(line) for line in self.text().splitlines() if line.startswith("{") and line[-1] == "}"
        ]
        wanted = {"event": event, **fields}
        return [row for row in rows if all(row.get(name) == value for name, value in wanted.items())]

    def until_said(
        self, event: str, within: float = STARTED_WITHIN, count: int = 1, **fields: object
    ) -> dict[str, Any]:
        """Wait until it has said so ``count`` times; returns the latest."""

        def heard() -> list[dict[str, Any]]:
            assert self.is_alive, self.text()[-4000:]
            rows = self.said(event, **fields)
            return rows if len(rows) >= count else []

        try:
            return eventually(heard, within, f"{event} {fields}")[-1]
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.text()[-3000:]}") from error

    def until_training(self, count: int = 1) -> int:
        """Wait for the ``count``-th training process it starts; returns its id."""
        return int(self.until_said("training_started", count=count)["pid"])

    def metric(self, name: str, **labels: str) -> float | None:
        """Return the sum of a metric's series that have these labels, None while there is none."""
        port = self.until_said("health_server_started")["port"]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        wanted = [f'{key}="{value}"' for key, value in labels.items()]
        rows = [
            line for line in lines if re.match(rf"{name}[{{ ]", line) and all(item in line for item in wanted)
        ]
        return sum(float(row.rsplit(" ", 1)[1]) for row in rows) if rows else None


def is_gone(pid: int) -> bool:
    """True when the process has ended."""
    return start_time(pid) is None
