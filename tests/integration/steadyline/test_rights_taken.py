"""Rights that are taken, and users that are deleted, below a line that runs: each service says so, nothing is
lost, and nothing is counted twice.
"""

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from steadyline.picture import encode_png
from steadyline.servers import Addresses
from steadyline.service import EXIT_FATAL, EXIT_OK
from tests.support.eventually import eventually
from tests.support.guarded_kafka import GuardedKafka, guarded_kafka
from tests.support.models import a_defective_picture
from tests.support.scorer_line import ScorerLine
from tests.support.servers import ROOT, new_home, remove, require
from tests.support.service_process import ServiceProcess

pytestmark = [pytest.mark.servers, pytest.mark.timeout(600)]

SERVICES = ("producers", "scorer", "trainer", "alerts")
ENDING = ("scorer", "trainer", "alerts")
OPERATOR = "steadyline"
WITHIN = 120.0
ENDED_WITHIN = 240.0  # a trainer with nothing to do may notice only as it next looks at its topics
FRAMES = 60  # of each camera at each start of the producers, four a second
LOGIN_SECONDS = 6  # after which an open connection must log in again


class GuardedLine:
    """A line whose services come as users of their own; ``rights`` are what they need."""

    def __init__(self, kafka: GuardedKafka, line: ScorerLine) -> None:
        self.kafka, self.line = kafka, line
        users = [f"--user={service}=User:{service}" for service in (*SERVICES, OPERATOR)]
        printed = line.steadyline("topics", "acls", "--line", str(line.line_file), "--json", *users)
        assert printed.returncode == EXIT_OK, printed.stderr
        self.rights = json.loads(printed.stdout)
        kafka.allow(self.rights)
        line.put_in_service()
        self.running: dict[str, ServiceProcess] = {}

    @property
    def database(self) -> Path:
        """The file of the alerts' database."""
        return self.line.home / "alerts.db"

    def start(self, *services: str) -> None:
        """Start those of the services that do not run."""
        own = {
            "ALERTS_DATABASE": f"sqlite:///{self.database}",
            "ALERTS_API_PORT": "0",
            "TRAINER_WORK": str(self.line.home / "trainer"),
        }
        for service in services:
            if service in self.running and self.running[service].is_alive:
                continue
            user = self.kafka.user(service)
            if service == "scorer":
                self.running[service] = self.line.start("a", **user)
            elif service == "producers":
                self.running[service] = self.line.start_producers(**user)
            else:
                self.running[service] = self.line.start_service(service, environment={**own, **user})

    def until_all_work(self) -> None:
        """Start what does not run, the producers last, and wait until every service has begun its work."""
        self.start(*ENDING)
        for service, event in (("trainer", "history_read"), ("alerts", "alerts_started")):
            self.running[service].until_said(event, WITHIN)
        self.running["scorer"].until_ready(WITHIN)
        self.start("producers")
        self.line.until_scored(self.line.read() + 8, WITHIN)

    def tool(self, *arguments: str) -> str:
        """Run ``steadyline`` on the line as its operator; return what it printed."""
        user = self.kafka.user(OPERATOR)
        done = self.line.steadyline(*arguments, "--line", str(self.line.line_file), **user)
        assert done.returncode == EXIT_OK, done.stdout + done.stderr
        return done.stdout

    def counted_by_alerts(self) -> int:
        """Return how many anomalous frames the incidents of all cameras have."""
        with closing(sqlite3.connect(self.database, timeout=30)) as connection:
            rows = connection.execute("SELECT content FROM incidents WHERE kind = 'anomaly'").fetchall()
        return sum(json.loads(content)["anomaly"]["frames"] for (content,) in rows)

    def refused_orders(self) -> list[str]:
        """Return what the trainer has answered to orders that it refused."""
        changes = [change for event in self.line.events()[-1:] for change in event.changes]
        return [change.reason for change in changes if change.reason.startswith("refused: promote")]

    def is_seen(self, frames: int) -> bool:
        """Tell whether so many frames are scored and counted; what was not let in is started again."""
        for service in ENDING:
            process = self.running[service]
            if not process.is_alive:
                assert process.wait() == EXIT_FATAL, process.tail()
                assert process.said(f"{service}_ended")[-1]["reason"] == "login_refused", process.tail()
                self.start(service)
        return self.line.read() >= frames and self.counted_by_alerts() >= frames

    def told_of_its_login(self, service: str) -> dict[str, Any]:
        """Return what a service says of a login that is refused: while it waits, or as it ends.

        Which of its clients has to log in again first decides.
        """
        process = self.running[service]

        def told() -> list[dict[str, Any]]:
            ended = process.said(f"{service}_ended") if not process.is_alive else []
            return process.said("kafka_refused") or ended

        return eventually(told, WITHIN, f"{service} says that its login is refused")[-1]

    def assert_whole(self, frames: int) -> None:
        """Check that all frames are scored, and counted by the alerts, once."""
        eventually(lambda: self.is_seen(frames), WITHIN, "every frame is scored and counted")
        totals = json.loads(self.tool("audit", "--json"))["totals"]
        assert totals["captured"] == totals["scored"] == frames, totals
        seen = Counter(score.frame for score in self.line.scores())
        assert (len(seen), max(seen.values())) == (frames, 1)
        assert self.counted_by_alerts() == frames


@pytest.fixture(scope="module")
def guarded(addresses: Addresses, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedLine]:
    """A broker of this module alone, and a line on it that does not run yet."""
    require(["kafka"])
    home, place = new_home(), tmp_path_factory.mktemp("line")
    (place / "pictures").mkdir()
    for number in range(FRAMES):
        (place / "pictures" / f"{number:02}.png").write_bytes(encode_png(a_defective_picture(32)))
    with guarded_kafka(home, ROOT / ".cache/kafka", (*SERVICES, OPERATOR), LOGIN_SECONDS) as kafka:
        where = replace(addresses, kafka_bootstrap=kafka.administrators)
        line = ScorerLine(place, where, "folder:./pictures?fps=4", "block")
        opens = "evidence_sample: 0.1\n    alerts: {open_frames: {anomalous: 1, of: 1}}"
        line.write_line(line.line_file.read_text().replace("evidence_sample: 0.1", opens))
        try:
            yield GuardedLine(kafka, line)
        finally:
            line.close()
    remove(home)


def test_each_service_whose_rights_are_taken_says_so_and_all_goes_on_once_they_are_back(
    guarded: GuardedLine,
) -> None:
    line = guarded.line
    guarded.until_all_work()

    for service in SERVICES:
        guarded.kafka.take(service)
    for service in ENDING:
        process = guarded.running[service]
        assert process.wait(ENDED_WITHIN) == EXIT_FATAL, process.tail()
        [ended] = process.said(f"{service}_ended")
        assert ended["reason"] == "not_allowed"
        assert "AuthorizationFailed" in ended["error"]
        assert line.name in ended["error"], "it names the topic or the group"
        assert "steadyline topics acls" in ended["error"]
    producers = guarded.running["producers"]
    refused = producers.until_said("kafka_refused", WITHIN, reason="not_allowed")
    assert line.topics.frames.name in refused["error"] or line.topics.camera_status.name in refused["error"]
    assert "AuthorizationFailed" in producers.readiness()["broker"]
    assert producers.is_alive, "a camera does not stop either"
    guarded.tool("models", "promote", line.product, "99")

    guarded.kafka.allow(guarded.rights)
    guarded.start(*SERVICES)
    producers.until_said("kafka_allowed_again", WITHIN)
    eventually(guarded.refused_orders, WITHIN, "the order of meanwhile is answered")
    assert producers.wait(WITHIN) == EXIT_OK, producers.tail()
    guarded.assert_whole(FRAMES * len(line.cameras))
    assert len(guarded.refused_orders()) == 1


def test_a_deleted_user_is_told_at_the_next_login_and_all_goes_on_once_it_is_known_again(
    guarded: GuardedLine,
) -> None:
    line = guarded.line
    before = line.read()
    guarded.until_all_work()

    guarded.kafka.delete(SERVICES)
    for service in SERVICES:
        refused = guarded.told_of_its_login(service)
        assert "the broker refuses the user" in refused["error"]
        assert "SCRAM-SHA-512" in refused["error"]

    producers = guarded.running["producers"]
    assert producers.is_alive, "a camera does not stop"

    guarded.kafka.know(SERVICES)
    assert producers.wait(WITHIN) == EXIT_OK, producers.tail()
    guarded.assert_whole(before + FRAMES * len(line.cameras))
