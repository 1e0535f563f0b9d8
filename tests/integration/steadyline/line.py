"""A line on the shared broker, written to as its services do, and the ``steadyline`` command run on it."""

import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from steadyline.cli.app import main
from steadyline.contracts.topics import Topics
from steadyline.kafka.broker import Record
from steadyline.kafka.client import KafkaBroker
from steadyline.line import load_line
from steadyline.settings import KafkaSettings
from tests.support.line_day import LineDay

Done = subprocess.CompletedProcess[str]


def steadyline(bootstrap: str, line_file: Path, *arguments: str | Path) -> Done:
    """Run one verb as its users do."""
    command = [sys.executable, "-P", "-m", "steadyline", *map(str, arguments), "--line", str(line_file)]
    environment = {**os.environ, **_variables(bootstrap)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


def steadyline_here(bootstrap: str, line_file: Path, *arguments: str | Path) -> Done:
    """Run one verb in this process: a second sooner, and there are many to run."""
    command = [*map(str, arguments), "--line", str(line_file)]
    out, err = StringIO(), StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        for name, value in _variables(bootstrap).items():
            patch.setenv(name, value)
        status = main(command)
    return Done(command, status, out.getvalue(), err.getvalue())


def _variables(bootstrap: str) -> dict[str, str]:
    return {"KAFKA_BOOTSTRAP_SERVERS": bootstrap, "COLUMNS": "200"}


@dataclass(frozen=True)
class WrittenLine:
    """``day`` writes to the line; ``run`` runs the command."""

    bootstrap: str
    file: Path
    broker: KafkaBroker
    topics: Topics
    epoch: int = field(default_factory=time.time_ns)

    @property
    def group(self) -> str:
        """The scorers' group."""
        return self.topics.frames.name.removesuffix(".frames.v1") + ".scorer"

    @property
    def day(self) -> LineDay:
        """One camera's day, begun just now: what is written carries the time of the broker's clock."""
        return LineDay(self.broker, self.topics, epoch=self.epoch)

    def frame(self, sequence: int, camera: str = "east-1") -> str:
        """Return the id of a frame of that day."""
        return f"{camera}/{self.epoch}/{sequence}"

    def run(self, *arguments: str | Path) -> Done:
        """Run one verb on this line."""
        return steadyline_here(self.bootstrap, self.file, *arguments)

    def json(self, *arguments: str | Path) -> Any:
        """Run one verb with ``--json``; returns what it printed."""
        done = self.run(*arguments, "--json")
        assert done.stdout, done.stderr
        return json.loads(done.stdout)

    def frames(self) -> list[Record]:
        """Return everything on the frames topic."""
        reader = self.broker.reader("test")
        try:
            return list(reader.read(self.topics.frames.name))
        finally:
            reader.close()


@contextmanager
def written_line(folder: Path, bootstrap: str) -> Iterator[WrittenLine]:
    """Yield a line of its own, its topics created."""
    file = folder / "line.yaml"
    prefix = f"t{uuid.uuid4().hex[:8]}"
    file.write_text(f"line: cells-1\ntopics: {{prefix: {prefix}, partitions: 2}}\nproducts: {{cell: {{}}}}\n")
    topics = load_line(file).kafka_topics()
    broker = KafkaBroker(KafkaSettings(bootstrap_servers=bootstrap), "test")
    broker.create_topics(list(topics))
    try:
        yield WrittenLine(bootstrap, file, broker, topics)
    finally:
        broker.close()
