"""The alerts process on a real Kafka: scores become incidents, and no end of a process costs one."""

import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from standardwebhooks import Webhook

from steadyline.contracts.score import Peak, Score
from steadyline.kafka.broker import Message
from tests.support.eventually import eventually
from tests.support.line_under_test import LineUnderTest
from tests.support.servers import OwnStack
from tests.support.service_process import ServiceProcess
from tests.support.webhook_receiver import webhook_receiver

pytestmark = pytest.mark.servers

STARTED_WITHIN = 120.0  # seconds; two cores, shared with other tests
CAMERAS = ("east-0", "east-1")
EPOCH = 1_700_000_000_000_000_000


class AlertsLine(LineUnderTest):
    """A line of two cameras whose scores the test writes: three anomalous ones are an incident."""

    def begin(self) -> None:
        """Write the line file and make the topics."""
        cameras = "".join(f"  - {{id: {name}, product: cell, source: 'folder:.'}}\n" for name in CAMERAS)
        self.write_line(
            f"line: test\ntopics: {{prefix: {self.name}, partitions: 2}}\nstore: file://./store\n"
            f"products: {{cell: {{alerts: {{close_frames: 3}}}}}}\ncameras:\n{cameras}"
        )
        self.create_topics()
        self.sequence = 0

    @property
    def database(self) -> Path:
        """The database's file."""
        return self.home / "alerts.db"

    def start(self, instance: str) -> ServiceProcess:
        """Start ``python -m alerts run``."""
        ours = {**self.settings(), "ALERTS_INSTANCE": instance}
        return self.start_service("alerts", name=instance, environment=ours)

    def settings(self) -> dict[str, str]:
        """Return the variables of every process."""
        return {
            "ALERTS_DATABASE": f"sqlite:///{self.database}",
            "ALERTS_API_PORT": "0",
            "ALERTS_ALLOW_PRIVATE_ADDRESSES": "true",
        }

    def first_token(self) -> str:
        """Run ``python -m alerts first-token`` and return what it prints."""
        return subprocess.run(
            [sys.executable, "-P", "-m", "alerts", "first-token"],
            env={**self.environment(), **self.settings()},
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        ).stdout.strip()

    def send(self, verdicts: str) -> None:
        """Write scores of both cameras, one for each letter: ``b`` is anomalous, ``g`` good."""
        for verdict in verdicts:
            self.sequence += 1
            for camera in CAMERAS:
                self.publish(self._message(camera, verdict == "b"))
        self.flush()

    def told(self) -> list[tuple[str, int, str]]:
        """Return (camera, sequence, change) of every change, per camera in order."""
        if not self.database.exists():
            return []
        query = (
            "SELECT camera, changes.sequence, change FROM changes JOIN incidents "
            "ON incidents.id = changes.incident ORDER BY camera, changes.id"
        )
        with closing(sqlite3.connect(self.database, timeout=30)) as connection:
            try:
                return list(connection.execute(query))
            except sqlite3.OperationalError:
                return []  # the tables are just being made

    def _message(self, camera: str, is_anomalous: bool) -> Message:
        now = datetime.now(UTC)
        score = Score(
            frame=f"{camera}/{EPOCH}/{self.sequence}",
            camera=camera,
            product="cell",
            captured_at=now,
            scored_at=now + timedelta(milliseconds=20),
            model_version=1,
            score=3.0 if is_anomalous else 1.0,
            p_value=0.01 if is_anomalous else 0.7,
            threshold=2.0,
            threshold_version=1,
            verdict="anomalous" if is_anomalous else "normal",
            peak=Peak(x=0.5, y=0.5, value=3.0),
            source_partition=0,
            source_offset=self.sequence,
        )
        headers = score.headers("test", camera, now)
        return Message(self.topics.scores.name, camera.encode(), score.encode(), headers)


@pytest.fixture
def line(own_stack: OwnStack, tmp_path: Path) -> Iterator[AlertsLine]:
    made = AlertsLine(tmp_path, own_stack("kafka").addresses)
    made.begin()
    yield made
    made.close()


def of_both(*changes: tuple[int, str]) -> list[tuple[str, int, str]]:
    return [(camera, sequence, change) for camera in CAMERAS for sequence, change in changes]


def test_scores_become_incidents_over_a_kill_and_a_second_process(line: AlertsLine) -> None:
    first = line.start("one")
    first.until_ready(STARTED_WITHIN)
    line.send("ggbbb")
    eventually(lambda: line.told() == of_both((1, "opened")), 30, "the incidents are open")

    first.kill()
    line.publish(Message(line.topics.scores.name, CAMERAS[0].encode(), b"bad", ()))
    line.send("bb")
    second, third = line.start("one"), line.start("two")
    for process in (second, third):
        process.until_ready(STARTED_WITHIN)
    line.send("ggg")
    whole = of_both((1, "opened"), (2, "resolved"))
    eventually(lambda: line.told() == whole, 60, "the incidents are over")

    line.send("bbb")
    again = of_both((1, "opened"), (2, "resolved"), (1, "opened"))
    eventually(lambda: line.told() == again, 30, "new incidents are open")
    assert [process.stop() for process in (second, third)] == [0, 0]
    letters = line.read_topic(line.topics.dead_letters.name)
    assert [letter.value for letter in letters] == [b"bad"]
    assert line.told() == again


def test_an_incident_reaches_a_webhook_the_topic_and_the_person_who_takes_it(line: AlertsLine) -> None:
    process = line.start("one")
    process.until_ready(STARTED_WITHIN)
    process.until_said("api_started")
    port = process.said("api_started")[0]["port"]
    headers = {"authorization": f"Bearer {line.first_token()}"}
    with (
        webhook_receiver() as receiver,
        httpx.Client(base_url=f"http://127.0.0.1:{port}/api/v1", headers=headers) as api,
    ):
        wish = {"name": "hook", "channel": {"kind": "webhook", "url": receiver.url}}
        made = api.post("/subscriptions", json=wish).raise_for_status().json()
        line.send("ggbbb")
        eventually(lambda: len(receiver.seen) == len(CAMERAS), 60, "the webhook has both incidents")
        for post in receiver.seen:
            assert Webhook(made["secret"]).verify(post.body, post.headers)["data"]["change"] == "opened"
        incident = receiver.seen[0].alert["incident"]
        api.post(f"/incidents/{incident}/acknowledge", json={"comment": "mine"}).raise_for_status()
        eventually(lambda: len(receiver.seen) == len(CAMERAS) + 1, 60, "it has the acknowledgement")
        assert (receiver.seen[-1].alert["change"], receiver.seen[-1].alert["incident"]) == (
            "acknowledged",
            incident,
        )
        assert api.get("/incidents", headers={"authorization": "Bearer stolen"}).status_code == 401
    eventually(lambda: len(line.read_topic(line.topics.alerts.name)) == len(CAMERAS) + 1, 60, "the topic too")
    assert process.stop() == 0


def test_the_line_is_seen_and_the_trainer_ordered_over_the_api(line: AlertsLine) -> None:
    process = line.start("one")
    process.until_ready(STARTED_WITHIN)
    process.until_said("api_started")
    port = process.said("api_started")[0]["port"]
    headers = {"authorization": f"Bearer {line.first_token()}"}
    line.send("ggg")
    line.publish(Message(line.topics.scores.name, CAMERAS[0].encode(), b"bad", ()))
    line.flush()
    with httpx.Client(base_url=f"http://127.0.0.1:{port}/api/v1", headers=headers, timeout=60) as api:

        def scored() -> list[int]:
            return [one["scored"] for one in api.get("/accounting").raise_for_status().json()["cameras"]]

        eventually(lambda: scored() == [3, 3], 60, "every score is counted")
        cameras = api.get("/cameras").raise_for_status().json()
        assert [one["score"]["frame"] for one in cameras] == [f"{name}/{EPOCH}/3" for name in CAMERAS]
        eventually(lambda: len(api.get("/dead-letters").json()["items"]) == 1, 60, "the letter is listed")
        assert api.get("/dead-letters").json()["items"][0]["head"] == "bad"
        order = api.post("/models/cell/retrain?wait=1", json={"why": "new parts"})
        assert (order.status_code, order.json()["state"]) == (202, "waiting")
        assert api.get("/bank/cell").json()["reason"] == "unavailable"  # no Redis runs here
    commands = line.read_topic(line.topics.model_commands.name)
    assert [record.key for record in commands] == [b"cell"]
    assert process.stop() == 0


def test_an_incident_that_nobody_takes_is_escalated_over_a_kill(line: AlertsLine) -> None:
    first = line.start("one")
    first.until_ready(STARTED_WITHIN)
    first.until_said("api_started")
    headers = {"authorization": f"Bearer {line.first_token()}"}
    with webhook_receiver() as receiver:
        at = f"http://127.0.0.1:{first.said('api_started')[0]['port']}/api/v1"
        with httpx.Client(base_url=at, headers=headers) as api:
            hook = {"channel": {"kind": "webhook", "url": receiver.url}, "filter": {"kinds": ["lag"]}}
            own, *_ = (
                api.post("/subscriptions", json={"name": name, **hook}).raise_for_status().json()
                for name in ("on call", "other")
            )
            to = own["subscription"]["id"]
            steps = [{"after": "1s", "subscription": to}, {"after": "15s", "subscription": to}]
            chain = {"name": "night", "filter": {"cameras": [CAMERAS[0]]}, "steps": steps}
            api.post("/escalation-chains", json=chain).raise_for_status()
        line.send("ggbbb")
        eventually(lambda: len(receiver.seen) >= 1, 60, "the first step was taken")
        first.kill()
        second = line.start("one")
        second.until_ready(STARTED_WITHIN)
        eventually(lambda: {_step_of(post.body) for post in receiver.seen} == {1, 2}, 90, "the second step")
        for post in receiver.seen:
            event = Webhook(own["secret"]).verify(post.body, post.headers)
            assert (event["escalationchain"], event["data"]["camera"]) == ("night", CAMERAS[0])
        assert second.stop() == 0


def _step_of(body: bytes) -> int:
    return int(json.loads(body)["escalationstep"])


def test_a_database_of_a_newer_release_is_refused_at_the_start(line: AlertsLine) -> None:
    process = line.start("one")
    process.until_ready(STARTED_WITHIN)
    assert process.stop() == 0
    with closing(sqlite3.connect(line.database)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = 'r9999_later'")
    process.start()
    assert process.wait() == 4
    assert "newer release" in process.tail()
