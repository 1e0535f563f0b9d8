"""A line that the test itself writes to as its services do, and the ``steadyline`` command run on it."""

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from steadyline.cli.app import main
from steadyline.kafka.broker import Record
from steadyline.servers import Addresses
from tests.support.line_day import LineDay
from tests.support.line_under_test import LineUnderTest

Done = subprocess.CompletedProcess[str]


class WrittenLine(LineUnderTest):
    """``day`` writes to the line; ``run`` runs the command."""

    def __init__(self, home: Path, addresses: Addresses) -> None:
        super().__init__(home, addresses)
        self.epoch = time.time_ns()
        self.write_line(
            f"line: cells-1\ntopics: {{prefix: {self.name}, partitions: 2}}\nproducts: {{cell: {{}}}}\n"
        )
        self.create_topics()

    @property
    def group(self) -> str:
        """The scorers' group."""
        return f"{self.name}.scorer"

    @property
    def day(self) -> LineDay:
        """One camera's day, begun just now: what is written carries the time of the broker's clock."""
        return LineDay(self.broker, self.topics, epoch=self.epoch)

    def frame(self, sequence: int, camera: str = "east-1") -> str:
        """Return the id of a frame of that day."""
        return f"{camera}/{self.epoch}/{sequence}"

    def run(self, *arguments: str | Path) -> Done:
        """Run one verb on this line in this process: a second sooner, and there are many to run."""
        command = [*map(str, arguments), "--line", str(self.line_file)]
        out, err = StringIO(), StringIO()
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
            for name, value in self.environment().items():
                patch.setenv(name, value)
            status = main(command)
        return Done(command, status, out.getvalue(), err.getvalue())

    def json(self, *arguments: str | Path) -> Any:
        """Run one verb with ``--json``; returns what it printed."""
        done = self.run(*arguments, "--json")
        assert done.stdout, done.stderr
        return json.loads(done.stdout)

    def frame_records(self) -> list[Record]:
        """Return everything on the frames topic."""
        return self.read_topic(self.topics.frames.name)


@contextmanager
def written_line(folder: Path, bootstrap: str) -> Iterator[WrittenLine]:
    """Yield a line of its own, its topics created."""
    made = WrittenLine(folder, Addresses(kafka_bootstrap=bootstrap))
    try:
        yield made
    finally:
        made.close()
