"""A service of the line as a child process: its log, its health port, its bad days."""

import json
import re
import signal
import subprocess
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.eventually import eventually

_PORT = re.compile(r"health_server_started.*?\bport\W+(\d+)|\bport\W+(\d+).*health_server_started")


@dataclass
class RunningScorer:
    """One process and its log."""

    process: "subprocess.Popen[bytes]"
    log: Path

    def stop(self, within: float = 40.0) -> int:
        """End it by SIGTERM, once it can tell a signal from its death; returns its exit status."""
        self.port()
        self.process.send_signal(signal.SIGTERM)
        return self.wait(within)

    def kill(self) -> None:
        """End it by SIGKILL."""
        self.process.kill()
        self.process.wait()

    def freeze(self) -> None:
        """Stop it where it stands (SIGSTOP)."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on (SIGCONT)."""
        self.process.send_signal(signal.SIGCONT)

    def wait(self, within: float = 40.0) -> int:
        """Wait for its end; returns its exit status."""
        try:
            return self.process.wait(within)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError(f"still running; the log:\n{self.text()[-3000:]}") from None

    def text(self) -> str:
        """Return the log so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def port(self) -> int:
        """Return the health port; by then signals are handled."""
        found = eventually(lambda: _PORT.search(self.text()), 30, f"a health port in {self.text()[-500:]}")
        assert found is not None
        return int(found[1] or found[2])

    def readiness(self) -> dict[str, str]:
        """Return what it waits for; empty when it is ready."""
        waiting: dict[str, str] = self._ask("readyz")["waiting_for"]
        return waiting

    def is_live(self) -> bool:
        """Return what ``/livez`` says."""
        return bool(self._ask("livez")["live"])

    def until_ready(self, within: float = 30.0) -> None:
        """Wait until it is ready."""
        eventually(lambda: not self.readiness(), within, f"ready; the log:\n{self.text()[-2000:]}")

    def metric(self, name: str, **labels: str) -> float:
        """Return the sum of a metric's series that have these labels."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port()}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
        wanted = [f'{key}="{value}"' for key, value in labels.items()]
        rows = [line for line in lines if re.match(rf"{name}[{{ ]", line)]
        return sum(float(row.rsplit(" ", 1)[1]) for row in rows if all(item in row for item in wanted))

    def _ask(self, path: str) -> dict[str, Any]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port()}/{path}", timeout=5) as answer:
                body: dict[str, Any] = json.load(answer)
        except urllib.error.HTTPError as error:
            body = json.load(error)
        return body
