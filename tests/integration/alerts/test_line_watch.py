"""The alerts process watches its line on a real Kafka: silence, refusals, and a record that kills it."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from steadyline.kafka.broker import Message, Worker
from steadyline.kafka.loop.crash_guard import ENDED
from tests.support.eventually import eventually
from tests.support.incidents import a_scored_frame
from tests.support.line_under_test import LineUnderTest
from tests.support.servers import OwnStack
from tests.support.service_process import ServiceProcess
from tests.support.webhook_receiver import webhook_receiver

pytestmark = pytest.mark.servers

STARTED_WITHIN = 120.0  # seconds; two cores, shared with other tests
KILLED = -9
LINE = """
line: test
topics: {{prefix: {name}, partitions: 2}}
store: file://./store
products: {{cell: {{}}}}
cameras: [{{id: c1, product: cell, source: "folder:."}}]
alerts:
  no_scores: {{after: 3s, frames: 1000, close_after: 1s}}
  dead_letters: {{count: 4, within: 10m}}
"""


class SilentLine(LineUnderTest):
    """A line of one camera whose frames are sent, and scored or not, by the test."""

    def begin(self) -> None:
        """Write the line file and make the topics."""
        self.write_line(LINE.format(name=self.name))
        self.create_topics()
        self.sequence, self.scorer = 0, self._scorer()

    @property
    def database(self) -> Path:
        """The database's file."""
        return self.home / "alerts.db"

    def settings(self) -> dict[str, str]:
        """Return the variables of the process."""
        return {
            "ALERTS_DATABASE": f"sqlite:///{self.database}",
            "ALERTS_API_PORT": "0",
            "ALERTS_INSTANCE": "one",
            "ALERTS_LINE_WATCH_SECONDS": "0.3",
            "ALERTS_HEARTBEAT_SECONDS": "0.5",
            "ALERTS_ALLOW_PRIVATE_ADDRESSES": "true",
        }

    def start(self, settings: Mapping[str, str]) -> ServiceProcess:
        """Start ``python -m alerts run`` and wait until it is ready."""
        process = self.start_service("alerts", environment={**self.settings(), **settings})
        process.until_ready(STARTED_WITHIN)
        return process

    def film(self) -> None:
        """Send a frame; nobody looks into it."""
        self.write(Message(self.topics.frames.name, b"c1", b"a frame"))

    def score(self) -> bool:
        """Score what waits, as a scorer does; return True when there was something."""
        polled = self.scorer.poll(timedelta(milliseconds=200))
        self.scorer.take_lost()
        offsets = {place: records[-1].offset + 1 for place, records in polled.items()}
        count = sum(len(records) for records in polled.values())
        messages = [self.score_message() for _ in range(count)]
        return bool(offsets) and self.scorer.commit(messages, offsets)

    def score_message(self) -> Message:
        """Return the score of the next frame."""
        self.sequence += 1
        score = a_scored_frame(self.sequence)
        headers = score.headers("test", "c1", score.scored_at)
        return Message(self.topics.scores.name, b"c1", score.encode(), headers)

    def told(self) -> list[tuple[str, str]]:
        """Return (kind, change) of every change, in order."""
        return self._asked(
            "SELECT kind, change FROM changes JOIN incidents ON incidents.id = changes.incident "
            "ORDER BY changes.id"
        )

    def taken(self) -> int:
        """Return how far the scores are in the database, over all partitions."""
        rows = self._asked(f"SELECT next, 0 FROM offsets WHERE topic = '{self.topics.scores.name}'")
        return sum(int(offset) for offset, _ in rows)

    def _asked(self, query: str) -> list[tuple[str, str]]:
        if not self.database.exists():
            return []
        with closing(sqlite3.connect(self.database, timeout=30)) as connection:
            try:
                return list(connection.execute(query))
            except sqlite3.OperationalError:
                return []  # the tables are just being made

    def _scorer(self) -> Worker:
        worker = self.broker.worker(f"{self.name}.scorer", "scorer", [self.topics.frames.name])
        self._opened.callback(worker.close)
        return worker


@pytest.fixture
def line(own_stack: OwnStack, tmp_path: Path) -> Iterator[SilentLine]:
    made = SilentLine(tmp_path, own_stack("kafka").addresses)
    made.begin()
    yield made
    made.close()


def test_frames_without_scores_are_an_incident_and_silence_outward_until_scores_come_again(
    line: SilentLine,
) -> None:
    with webhook_receiver() as monitor:
        process = line.start({"ALERTS_HEARTBEAT_URL": monitor.url})
        eventually(lambda: len(monitor.seen) >= 2, 60, "the monitor hears that all is well")
        line.film()
        eventually(line.score, 60, "the frame is scored")
        line.film()  # and nobody scores it
        eventually(lambda: line.told() == [("no_scores", "opened")], 60, "the silence is told")
        process.until_said("heartbeat_withheld", reason="no_scores")
        heard = len(monitor.seen)
        eventually(lambda: process.metric("alerts_heartbeats_withheld_total", reason="no_scores") >= 3, 60)
        assert len(monitor.seen) <= heard + 1  # one may have been under way
        eventually(line.score, 60, "the frame is scored")
        ended = [("no_scores", "opened"), ("no_scores", "resolved")]
        eventually(lambda: line.told() == ended, 60, "the silence is over")
        heard = len(monitor.seen)
        eventually(lambda: len(monitor.seen) >= heard + 2, 60, "the monitor hears that all is well again")
        assert process.stop() == 0


def test_refused_messages_are_an_incident_over_a_kill_and_strangers_are_counted_too(line: SilentLine) -> None:
    process = line.start({})
    eventually(lambda: process.metric("alerts_observations_total", kind="line") >= 1, 60, "it measures")
    for value in (b"bad1", b"bad2"):
        line.write(Message(line.topics.scores.name, b"c1", value))
    line.write(Message(line.topics.dead_letters.name, None, b"of a stranger"))
    eventually(lambda: len(line.read_topic(line.topics.dead_letters.name)) == 3, 60, "all are letters")
    seen = process.metric("alerts_observations_total", kind="line")
    eventually(lambda: process.metric("alerts_observations_total", kind="line") >= seen + 2, 60, "counted")
    process.kill()
    again = line.start({})
    eventually(lambda: again.metric("alerts_observations_total", kind="line") >= 2, 90, "it measures again")
    assert line.told() == []
    line.write(Message(line.topics.scores.name, b"c1", b"bad3"))
    eventually(lambda: line.told() == [("dead_letters", "opened")], 60, "the refusals are told")
    why = line._asked("SELECT content, 0 FROM changes")[0][0]
    assert "4 dead letters (3 malformed_headers, 1 foreign) within 600 s" in why
    assert again.stop() == 0


@pytest.mark.timeout(600)
def test_a_record_that_gets_each_process_killed_is_dead_lettered_and_the_rest_is_taken(
    line: SilentLine,
) -> None:
    for _ in range(9):
        line.write(line.score_message())
    command = [sys.executable, "-m", "tests.support.deadly_alerts", "c1/7/5", "run", "--line"]
    environment = {**line.environment(), **line.settings(), "STEADYLINE_HEALTH_PORT": "0"}
    ended: list[int] = []

    def started() -> "subprocess.Popen[bytes]":
        return subprocess.Popen([*command, str(line.line_file)], env={**os.environ, **environment})

    process = started()

    def is_done() -> bool:
        nonlocal process
        status = process.poll()
        if status is not None:
            ended.append(status)
            process = started()
        return line.taken() >= 9 and len(line.read_topic(line.topics.dead_letters.name)) == 1

    try:
        eventually(is_done, within=450)
        process.terminate()
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
    (letter,) = line.read_topic(line.topics.dead_letters.name)
    assert dict(letter.headers)["reason"] == b"ended_processes"
    assert b'"c1/7/5"' in (letter.value or b"")
    assert set(ended) == {KILLED}
    assert 2 * ENDED <= len(ended) <= 2 * ENDED + 3
