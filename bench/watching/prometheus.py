"""A Prometheus of one's own: a child process on a free port that scrapes what it is told to."""

import json
import math
import re
import shutil
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from steadyline.child_process import ChildCommand, ChildProcess
from steadyline.errors import InvalidConfiguration
from steadyline.servers.ports import free_ports

PROGRAM = "prometheus"
READY_SECONDS = 60.0
LOOK_SECONDS = 0.2
# Nothing is shortened below this: two scrapes, and one that comes late.
SHORTEST_SECONDS = 4
LONGEST_SECONDS = 60  # the longest span of a rule once it is shortened
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_SPAN = re.compile(r"(\[|offset |for: )(\d+)([smhd])\b")
_RULE = re.compile(r"^(?=\s*- (?:alert|record):)", re.MULTILINE)
_CONFIG = """
global: {{scrape_interval: 2s, scrape_timeout: 2s, evaluation_interval: 1s}}
rule_files: [{rules}/*.yaml]
scrape_configs:
  - job_name: steadyline
    file_sd_configs: [{{files: [{targets}], refresh_interval: 1s}}]
"""


@dataclass(frozen=True, slots=True)
class ScrapeTarget:
    """One process: the service that it is, the line it belongs to, and the port of its health pages."""

    job: str
    line: str
    port: int


def shortened(rules: str, factor: float) -> str:
    """Return rules whose windows and patience are shorter by ``factor``; the rest is as it was.

    A rule of which a span would still be longer than a minute is shortened as a whole, until it is not.
    """
    return "".join(_rule_shortened(rule, factor) for rule in _RULE.split(rules))


def _rule_shortened(rule: str, factor: float) -> str:
    longest = max((_seconds(found) for found in _SPAN.finditer(rule)), default=0)
    own = max(factor, longest / LONGEST_SECONDS)
    return _SPAN.sub(
        lambda found: f"{found[1]}{max(SHORTEST_SECONDS, math.ceil(_seconds(found) / own))}s", rule
    )


def _seconds(span: re.Match[str]) -> int:
    return int(span[2]) * _SECONDS[span[3]]


class Prometheus:
    """Runs from enter to exit in ``home``, with the ``rules`` shortened by ``factor`` as ``shortened`` does.

    Raises InvalidConfiguration where no Prometheus is installed.
    """

    def __init__(self, home: Path, rules: Sequence[Path], factor: float = 1.0) -> None:
        program = shutil.which(PROGRAM)
        if program is None:
            raise InvalidConfiguration("prometheus is not installed: run `make init`")
        self._home, self._program = home, program
        self._targets = home / "targets.json"
        folder = home / "rules"
        folder.mkdir(parents=True)
        for path in rules:
            text = path.read_text(encoding="utf-8")
            (folder / path.name).write_text(shortened(text, factor) if factor > 1 else text, encoding="utf-8")
        self._config = home / "prometheus.yaml"
        self._config.write_text(_CONFIG.format(rules=folder, targets=self._targets), encoding="utf-8")
        self.scrape([])
        self.url = f"http://127.0.0.1:{free_ports(1)[0]}"
        self._child: ChildProcess | None = None

    def __enter__(self) -> "Prometheus":
        command = [
            self._program, f"--config.file={self._config}", f"--storage.tsdb.path={self._home / 'data'}",
            f"--web.listen-address={self.url.removeprefix('http://')}", "--log.level=warn",
        ]  # fmt: skip
        self._child = ChildProcess(
            ChildCommand(command, log=self._home / "prometheus.log", own_session=False)
        )
        self.wait(self._is_ready, READY_SECONDS, "Prometheus is ready")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._child is not None:
            self._child.stop(10)

    def scrape(self, targets: Sequence[ScrapeTarget]) -> None:
        """Scrape these from now on, and no others."""
        groups = [
            {"targets": [f"127.0.0.1:{one.port}"], "labels": {"job": one.job, "line": one.line}}
            for one in targets
        ]
        beside = self._targets.with_suffix(".new")
        beside.write_text(json.dumps(groups), encoding="utf-8")
        beside.replace(self._targets)

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the rows of an instant query; raises ValueError where it is no PromQL."""
        body = urllib.parse.urlencode({"query": expression}).encode()
        try:
            with urllib.request.urlopen(f"{self.url}/api/v1/query", body, timeout=30) as answer:
                found = json.load(answer)["data"]["result"]
        except urllib.error.HTTPError as error:
            with error:
                raise ValueError(f"{expression}: {error.read().decode()[:500]}") from error
        return list(found)

    def value(self, expression: str) -> float:
        """Return the value of the first row; NaN when there is none."""
        rows = self.query(expression)
        return float(rows[0]["value"][1]) if rows else math.nan

    def firing(self) -> set[str]:
        """Return the names of the alerts that fire."""
        return {row["metric"]["alertname"] for row in self.query('ALERTS{alertstate="firing"}')}

    def wait(self, done: Callable[[], bool], within: float, what: str) -> float:
        """Wait until ``done``; return the seconds. Raises TimeoutError ``within`` seconds later."""
        began = time.monotonic()
        while not done():
            if time.monotonic() - began > within:
                raise TimeoutError(f"not within {within:.0f} s: {what}")
            time.sleep(LOOK_SECONDS)
        return time.monotonic() - began

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=5) as answer:
                return int(answer.status) == 200
        except OSError:
            return False
