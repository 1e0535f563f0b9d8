"""A line that was backed up goes on elsewhere: the audit passes, nothing is scored twice or lost.

The Kafka that it is restored to asks who comes, and refuses what no right allows.
"""

import json
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from steadyline.contracts.score import Score
from steadyline.kafka.broker import Partition, Record
from steadyline.kafka.client.restorer import KafkaRestorer
from steadyline.line import load_line
from steadyline.servers import Addresses
from steadyline.service import EXIT_OK
from steadyline.settings import KafkaSettings
from tests.support.eventually import eventually
from tests.support.guarded_kafka import guarded_kafka
from tests.support.line_under_test import LineUnderTest
from tests.support.scorer_line import ScorerLine
from tests.support.servers import ROOT, new_home, remove, require
from tests.support.service_process import ServiceProcess

pytestmark = pytest.mark.servers

STARTED_WITHIN = 120.0  # seconds; two cores, shared with other tests
FRAMES_BEFORE, FRAMES_WAITING = 24, 12
BACKUP = "backup"


@dataclass(frozen=True)
class MovedLine:
    """A line where it was, and where it is to be."""

    old: ScorerLine
    new: LineUnderTest
    user: dict[str, str]  # whom the new Kafka knows, and who may back the line up and restore it

    @property
    def backup(self) -> Path:
        return self.old.home / "backup"

    def do(self, verb: str, *options: str) -> "subprocess.CompletedProcess[str]":
        """Back the new line up, or restore it, as its user of Kafka."""
        return self.new.steadyline(verb, "--line", "line.yaml", *options, **self.user)


@pytest.fixture
def moved(tmp_path: Path, addresses: Addresses) -> Iterator[MovedLine]:
    """A line of the shared servers, and a folder beside a Kafka that is empty; the Triton is the same."""
    require(["kafka"])
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
    old = ScorerLine(tmp_path / "old", addresses)
    opens = "evidence_sample: 0.1\n    alerts: {open_frames: {anomalous: 1, of: 1}}"
    old.write_line(old.line_file.read_text().replace("evidence_sample: 0.1", opens))
    home = new_home()
    with guarded_kafka(home, ROOT / ".cache/kafka", [BACKUP]) as kafka:
        new = LineUnderTest(tmp_path / "new", replace(addresses, kafka_bootstrap=kafka.administrators))
        new.write_line(old.line_file.read_text())
        printed = new.steadyline(
            "topics", "acls", "--line", "line.yaml", "--backup", "--json", f"--user={BACKUP}=User:{BACKUP}"
        )
        assert printed.returncode == EXIT_OK, printed.stderr
        kafka.allow(json.loads(printed.stdout))
        yield MovedLine(old, new, kafka.user(BACKUP))
        old.close()
        new.close()
    remove(home)


def start_alerts(line: LineUnderTest) -> ServiceProcess:
    return line.start_service("alerts", environment=alerts_settings(line))


def alerts_settings(line: LineUnderTest) -> dict[str, str]:
    database = f"sqlite:///{line.home / 'alerts.db'}"
    return {"ALERTS_DATABASE": database, "ALERTS_API_PORT": "0", "ALERTS_INSTANCE": "one"}


def start_scorer(line: LineUnderTest) -> ServiceProcess:
    return line.start_service("scorer", environment={"SCORER_INSTANCE": "one"})


def rows(line: LineUnderTest, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(line.home / "alerts.db", timeout=30)) as database:
        return sorted(database.execute(query).fetchall())


def scored(line: LineUnderTest) -> Counter[str]:
    return Counter(Score.decode(one.value).frame for one in line.read_topic(line.topics.scores.name))


def in_order(line: LineUnderTest, topic: str) -> list[Record]:
    return sorted(line.read_topic(topic), key=lambda record: (record.partition, record.offset))


def places_of(record: Record) -> tuple[int, int, int]:
    return record.partition.number, record.offset, record.timestamp_ms


def leave_gaps(line: ScorerLine) -> None:
    """Let the topic of frames begin late and have holes: retention, and transactions that were aborted."""
    settings = KafkaSettings(bootstrap_servers=line.addresses.kafka_bootstrap)
    kafka = KafkaRestorer(settings, "test-gaps")
    first, second = (Partition(line.topics.frames.name, number) for number in (0, 1))
    kafka.delete_before(first, 3)
    for count, place in ((1, first), (3, second)):
        kafka.end_transaction([Record(place, 0, None, b"x", (), 0)] * count, is_kept=False)
    kafka.close()


def a_day_of(line: ScorerLine) -> None:
    """Score frames, open incidents, make a token; end everything while frames wait."""
    line.put_in_service()
    scorer, alerts = start_scorer(line), start_alerts(line)
    scorer.until_ready(STARTED_WITHIN)
    alerts.until_ready(STARTED_WITHIN)
    line.send(FRAMES_BEFORE)
    line.until_accounted().assert_intact()
    eventually(lambda: rows(line, "SELECT id FROM incidents"), 30, "an incident is open")
    assert (scorer.stop(), alerts.stop()) == (EXIT_OK, EXIT_OK)
    command = [sys.executable, "-P", "-m", "alerts", "first-token"]
    environment = {**line.environment(), **alerts_settings(line)}
    subprocess.run(command, env=environment, cwd=line.home, capture_output=True, timeout=120, check=True)
    leave_gaps(line)
    line.send(FRAMES_WAITING)
    line.assert_audit_intact(in_flight=None)


def test_a_restored_line_passes_the_audit_and_goes_on_where_it_was(moved: MovedLine) -> None:
    old, new = moved.old, moved.new
    a_day_of(old)
    parts = ("--line", "line.yaml", "--database", "alerts.db", "--folder", f"work={old.home / 'work'}")
    (old.home / "work").mkdir()
    (old.home / "work" / "name").write_text("one")
    done = old.steadyline("backup", "--out", str(moved.backup), *parts)
    assert done.returncode == EXIT_OK, done.stderr

    own = ("--database", "alerts.db", "--folder", f"work={new.home / 'work'}")
    done = moved.do("restore", "--from", str(moved.backup), *own)
    assert done.returncode == EXIT_OK, done.stderr
    assert (new.home / "work" / "name").read_text() == "one"
    for topic in (new.topics.frames, new.topics.camera_status, new.topics.model_events):
        found, expected = in_order(new, topic.name), in_order(old, topic.name)
        assert [places_of(one) for one in found] == [places_of(one) for one in expected]
        assert found == expected  # keys, values and headers too
    assert new.steadyline("topics", "check", "--line", "line.yaml").returncode == EXIT_OK
    status, told = new.ask("audit")
    assert (status, scored(new)) == (EXIT_OK, scored(old)), told
    for table in ("incidents", "changes", "tokens", "deliveries", "subscriptions"):
        assert rows(new, f"SELECT * FROM {table}") == rows(old, f"SELECT * FROM {table}"), table

    incidents = rows(new, "SELECT id FROM incidents")
    scorer, alerts = start_scorer(new), start_alerts(new)
    total = FRAMES_BEFORE + FRAMES_WAITING
    eventually(lambda: len(scored(new)) == total, STARTED_WITHIN, "the frames that waited are scored")
    ids = new.broker.topic_ids([topic.name for topic in new.topics])
    place = f"SELECT sum(next) FROM offsets WHERE topic_id = '{ids[new.topics.scores.name]}'"
    eventually(lambda: (rows(new, place)[0][0] or 0) >= total, 60, "the alerts have taken the scores")
    assert (scorer.stop(), alerts.stop()) == (EXIT_OK, EXIT_OK)
    assert set(scored(new).values()) == {1}
    assert set(incidents) <= set(rows(new, "SELECT id FROM incidents"))
    opened = "SELECT incident FROM changes WHERE change = 'opened'"
    assert set(Counter(rows(new, opened)).values()) == {1}
    status, told = new.ask("audit")
    assert status == EXIT_OK, told

    again = moved.do("restore", "--from", str(moved.backup), *own)
    assert again.returncode != EXIT_OK
    assert "is not empty" in again.stderr
    done = moved.do("backup", "--out", "second", *own)
    assert done.returncode == EXIT_OK, done.stderr
    assert f"{new.topics.scores.name}: {total} records" in done.stdout


def test_a_backup_without_frames_and_of_one_group_brings_back_all_but_these(moved: MovedLine) -> None:
    old, new = moved.old, moved.new
    old.put_in_service()
    scorer = start_scorer(old)
    scorer.until_ready(STARTED_WITHIN)
    old.send(FRAMES_BEFORE)
    old.until_accounted().assert_intact()
    assert scorer.stop() == EXIT_OK
    prefix = load_line(old.line_file).topics.prefix
    group = f"{prefix}.scorer"
    options = ("--line", "line.yaml", "--out", str(moved.backup), "--without-frames", "--group", group)
    done = old.steadyline("backup", *options)
    assert done.returncode == EXIT_OK, done.stderr
    assert not sum(path.stat().st_size for path in (moved.backup / "topics" / "frames").iterdir())

    done = moved.do("restore", "--from", str(moved.backup))
    assert done.returncode == EXIT_OK, done.stderr
    assert new.read_topic(new.topics.frames.name) == []
    frames, scores = [new.topics.frames.name], [new.topics.scores.name]
    assert new.broker.end_offsets(frames) == old.broker.end_offsets(frames)
    assert (scored(new), sum(new.broker.end_offsets(scores).values())) == (scored(old), FRAMES_BEFORE)
    assert new.broker.committed_offsets(group) == old.broker.committed_offsets(group)
    assert new.broker.committed_offsets(f"{prefix}.alerts") == {}

    scorer = start_scorer(new)
    scorer.until_ready(STARTED_WITHIN)
    assert scorer.stop() == EXIT_OK
    assert scored(new) == scored(old)


def test_a_line_that_runs_is_not_backed_up(tmp_path: Path, addresses: Addresses) -> None:
    line = ScorerLine(tmp_path, addresses)
    try:
        line.put_in_service()
        start_scorer(line).until_ready(STARTED_WITHIN)
        done = line.steadyline("backup", "--line", "line.yaml", "--out", "backup")
        assert done.returncode != EXIT_OK
        assert "stop producers, scorers, trainer and alerts first" in done.stderr
        assert not (tmp_path / "backup").exists()
    finally:
        line.close()
