"""``steadyline doctor`` as its user runs it, over real servers, well and ill."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from steadyline.kafka.broker import Message
from steadyline.servers import Addresses
from tests.support.line_under_test import LineUnderTest
from tests.support.models import Contrast, model_event, serve_version
from tests.support.servers import OwnStack
from tests.support.wire import ask_redis

pytestmark = pytest.mark.servers
LINE = """
line: test
topics: {{prefix: {prefix}, partitions: 2}}
store: {store}
products:
  {product}: {{}}
"""


class ExaminedLine(LineUnderTest):
    """A line with one product, and what the doctor finds on it."""

    def __init__(self, home: Path, addresses: Addresses) -> None:
        super().__init__(home, addresses)
        self.product = f"part-{self.name}"
        self.keep_in("file://./store")

    def keep_in(self, store: str) -> None:
        """Write the line file with this address of the store."""
        self.write_line(LINE.format(prefix=self.name, store=store, product=self.product))

    def announce(self, model: Contrast, version: int) -> None:
        """Say on the topic that a version is live."""
        self.say(model_event(self.product, [model.event_model(version)], version))

    def examine(self, *options: str, **variables: str) -> tuple[int, dict[str, dict[str, Any]]]:
        """Run the verb; returns its exit status and check → finding."""
        done = self.steadyline("doctor", "--json", *options, **variables)
        assert done.stdout, done.stderr
        report = json.loads(done.stdout)
        assert report["healthy"] == (done.returncode == 0)
        assert all(item["remedy"] for item in report["findings"] if item["state"] == "failed")
        return done.returncode, {item["check"]: item for item in report["findings"]}


@pytest.fixture
def patient(tmp_path: Path, addresses: Addresses) -> Iterator[ExaminedLine]:
    made = ExaminedLine(tmp_path, addresses)
    yield made
    made.close()


def failed(findings: dict[str, dict[str, Any]]) -> set[str]:
    return {check for check, finding in findings.items() if finding["state"] == "failed"}


def test_a_new_line_with_its_topics_is_well(patient: ExaminedLine) -> None:
    patient.create_topics()
    status, findings = patient.examine()
    assert status == 0, findings
    assert {"Kafka", "Redis", "Triton", "clock of Kafka", "clock of Redis", "size limits", "store"} <= {
        check for check, finding in findings.items() if finding["state"] == "ok"
    }
    assert findings[f"live model of {patient.product}"]["state"] == "skipped"
    assert findings[f"bank of {patient.product}"]["state"] == "skipped"


def test_every_missing_or_wrong_topic_is_named(patient: ExaminedLine) -> None:
    topics = patient.topics
    wrong = [
        replace(topics.frames, partitions=3),
        replace(topics.scores, clean_up="compact"),
        replace(topics.dead_letters, max_message_bytes=1 << 20),
    ]
    patient.broker.create_topics([*wrong, topics.model_commands])
    status, findings = patient.examine()
    assert status == 1
    assert failed(findings) == {
        f"topic {topics.frames.name}",
        f"topic {topics.scores.name}",
        f"topic {topics.dead_letters.name}",
        f"topic {topics.camera_status.name}",
        f"topic {topics.model_events.name}",
        f"topic {topics.alerts.name}",
        f"topic {topics.feedback.name}",
        "size limits",
    }


def test_a_live_model_is_asked_for_its_known_answers_and_its_lost_bank_is_noticed(
    patient: ExaminedLine,
) -> None:
    patient.create_topics()
    patient.announce(Contrast(), 1)
    check = f"live model of {patient.product}"
    _, findings = patient.examine()
    assert failed(findings) == {check, f"bank of {patient.product}"}
    assert "not ready in Triton" in findings[check]["found"]
    assert "bank rebuild" in findings[f"bank of {patient.product}"]["remedy"]

    repository = Path(patient.addresses.triton_repository)
    serve_version(patient.triton, repository, patient.product, 1, Contrast())
    assert patient.examine()[1][check]["state"] == "ok"

    patient.announce(Contrast(gain=0.5), 1)  # the event says one thing, the model another
    _, findings = patient.examine()
    assert findings[check]["state"] == "failed"
    assert "contract_broken" in findings[check]["found"]


def test_events_that_nobody_believes_are_counted_by_reason(patient: ExaminedLine) -> None:
    patient.create_topics()
    event = model_event(patient.product, [Contrast().event_model(1)], 1)
    for line, key in (("other", patient.product), ("test", "another")):
        headers = event.headers(line, event.product, event.at)
        patient.write(Message(patient.topics.model_events.name, key.encode(), event.encode(), headers))
    _, findings = patient.examine()
    assert "foreign_line 1, malformed_headers 1" in findings["model events"]["found"]
    assert "STEADYLINE_TRUSTED_KEYS" in findings["model events"]["remedy"]
    assert findings[f"live model of {patient.product}"]["state"] == "skipped"


def test_a_store_that_cannot_be_written_is_found_and_read_only_writes_nothing(patient: ExaminedLine) -> None:
    patient.create_topics()
    (patient.home / "occupied").write_text("a file where a folder must be")
    patient.keep_in("file://./occupied/store")
    status, findings = patient.examine()
    assert status == 1
    assert failed(findings) == {"store"}
    status, findings = patient.examine("--read-only")
    assert status == 0
    assert {findings["store"]["state"], findings["clock of Kafka"]["state"]} == {"skipped"}


def test_servers_that_do_not_answer_are_named_and_the_rest_is_looked_at(patient: ExaminedLine) -> None:
    _, findings = patient.examine(
        KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1", TRITON_URL="127.0.0.1:1", TRITON_ADMIN_KEY="wrong"
    )
    assert failed(findings) == {"Kafka", "Triton"}
    assert findings["store"]["state"] == "ok"


def test_a_wrong_key_is_told_from_a_server_that_is_away(patient: ExaminedLine) -> None:
    patient.create_topics()
    _, findings = patient.examine(TRITON_ADMIN_KEY="wrong")
    assert failed(findings) == {"Triton's repository"}
    assert "TRITON_ADMIN_KEY" in findings["Triton's repository"]["remedy"]


def test_a_redis_that_evicts_or_is_full_is_found(tmp_path: Path, own_stack: OwnStack, kafka: str) -> None:
    own = own_stack("redis").addresses
    patient = ExaminedLine(tmp_path, Addresses(kafka_bootstrap=kafka, redis_url=own.redis_url))
    patient.create_topics()
    ask_redis(own.redis_url, "CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    ask_redis(own.redis_url, "CONFIG", "SET", "maxmemory", "1mb")
    _, findings = patient.examine()
    assert {"Redis' eviction policy", "Redis' memory"} <= failed(findings)
    patient.close()


def test_without_a_line_file_the_servers_alone_are_looked_at(patient: ExaminedLine) -> None:
    (patient.home / "line.yaml").unlink()
    status, findings = patient.examine("--read-only")
    assert status == 0
    assert findings["topics"]["state"] == "skipped"
    assert "--line" in findings["topics"]["found"]
