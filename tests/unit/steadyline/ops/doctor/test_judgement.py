"""What the doctor makes of what it found: pure, no server."""

from dataclasses import replace

import pytest

from steadyline.bank.redis import RedisMemory
from steadyline.clock import ManualClock
from steadyline.contracts.topics import Replication, Topic, Topics, line_topics
from steadyline.errors import BankUnavailable
from steadyline.kafka.memory.broker import MemoryBroker
from steadyline.line import Line
from steadyline.ops.doctor.clocks import ClockReading, judge_clock
from steadyline.ops.doctor.finding import Finding, Report
from steadyline.ops.doctor.storage import judge_memory
from steadyline.ops.doctor.topics import (
    compare,
    compare_replicas,
    compare_sizes,
    judge_version,
    look_at_prefix,
)
from tests.support.line_day import START, LineDay

TOPICS = line_topics("p", 4)


def described(*topics: Topic) -> dict[str, tuple[int, dict[str, str]]]:
    """Return topics as a broker describes them; it always tells more settings than were set."""
    return {topic.name: (topic.partitions, {**topic.config, "segment.bytes": "1"}) for topic in topics}


def only(report: Report) -> Finding:
    [finding] = report.findings
    return finding


def test_a_topic_as_the_registry_has_it_is_well() -> None:
    report = Report()
    compare(TOPICS.frames, described(*TOPICS), report)
    assert only(report).state == "ok"


def test_a_missing_topic_is_named_with_the_command_that_makes_it() -> None:
    report = Report()
    compare(TOPICS.scores, described(TOPICS.frames), report)
    assert only(report).check == "topic p.scores.v1"
    assert "steadyline topics create" in only(report).remedy


@pytest.mark.parametrize(
    ("partitions", "first"),
    [(3, "`steadyline topics create --mend --line LINE` adds"), (5, "partitions cannot be taken away: set")],
)
def test_other_partitions_are_told_with_the_mend_that_is_possible(partitions: int, first: str) -> None:
    report = Report()
    compare(TOPICS.frames, described(replace(TOPICS.frames, partitions=partitions)), report)
    assert only(report).found == f"{partitions} partitions, the line file says 4"
    assert only(report).remedy.startswith(first)
    assert ("topics.partitions of the line file" in only(report).remedy) == (partitions > 4)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"clean_up": "compact"}, "cleanup.policy is compact, must be delete"),
        ({"max_message_bytes": 1000}, "max.message.bytes is 1000, must be 8388608"),
        ({"retention_ms": 5}, "retention.ms is 5, must be 86400000"),
    ],
)
def test_a_wrong_setting_is_named_with_its_value_and_the_right_one(
    change: dict[str, object], said: str
) -> None:
    report = Report()
    compare(TOPICS.frames, described(replace(TOPICS.frames, **change)), report)  # type: ignore[arg-type]
    assert only(report).found == said
    assert said.rsplit(" ", 1)[1] in only(report).remedy


def sizes(topics: Topics) -> Finding:
    report = Report()
    compare_sizes(topics, described(*topics), report)
    return only(report)


def test_what_a_topic_takes_must_fit_producers_consumers_and_dead_letters() -> None:
    assert sizes(TOPICS).state == "ok"
    assert sizes(replace(TOPICS, frames=replace(TOPICS.frames, max_message_bytes=1 << 30))).state == "failed"
    small = replace(TOPICS.dead_letters, max_message_bytes=1000)
    assert sizes(replace(TOPICS, dead_letters=small)).state == "failed"


def test_a_clock_within_the_time_of_asking_may_well_be_right() -> None:
    assert ClockReading(10.0, 10.4, 11.0).skew == 0
    assert ClockReading(10.0, 9.5, 11.0).skew == -0.5
    assert ClockReading(10.0, 13.0, 11.0).skew == 2.0


def test_a_clock_that_is_off_by_seconds_fails() -> None:
    report = Report()
    judge_clock("Redis", ClockReading(10.0, 7.0, 10.1), report)
    assert only(report).state == "failed"
    assert only(report).found == "-3.000 s from ours"


def test_a_redis_that_evicts_is_not_fit_for_a_bank() -> None:
    report = Report()
    judge_memory(RedisMemory(used=90, limit=100, policy="allkeys-lru"), report)
    assert [finding.state for finding in report.findings] == ["failed", "failed"]
    report = Report()
    judge_memory(RedisMemory(used=90, limit=0, policy="noeviction"), report)
    assert report.is_healthy


def test_an_error_while_looking_is_a_finding_with_its_reason() -> None:
    report = Report()
    with report.looking_at("bank of cell", "start Redis"):
        raise BankUnavailable("connection refused")
    assert only(report) == Finding(
        "bank of cell", "failed", "bank_unavailable: connection refused", "start Redis"
    )


def test_what_was_skipped_is_not_ill() -> None:
    report = Report()
    report.skipped("topics", "no line file")
    assert report.is_healthy
    assert report.as_json()["healthy"] is True


@pytest.mark.parametrize(("name", "state"), [("cells-1", "ok"), ("cells-2", "failed")])
def test_a_prefix_that_another_line_uses_too_is_named(name: str, state: str) -> None:
    line = Line.model_validate({"line": name, "topics": {"prefix": "p"}, "products": {"cell": {}}})
    clock, report = ManualClock(START), Report()
    broker = MemoryBroker(clock)
    broker.create_topics(list(line.kafka_topics()))
    LineDay(broker, line.kafka_topics()).status(1)
    look_at_prefix(line, broker, clock, report)
    assert only(report).state == state
    assert state == "ok" or only(report).found == "p is also used by cells-1"


@pytest.mark.parametrize(
    ("version", "replicas", "state"),
    [((4, 2), 1, "ok"), ((4, 3), 1, "failed"), ((4, 3), 3, "ok"), ((3, 9), 1, "ok"), ((5, 0), 1, "failed")],
)
def test_a_release_that_leaves_transactions_open_is_told_where_a_topic_lies_once(
    version: tuple[int, ...], replicas: int, state: str
) -> None:
    report = Report()
    judge_version(version, {"p.frames.v1": 3, "p.scores.v1": replicas}, report)
    assert only(report).state == state
    assert ("KAFKA-20734" in only(report).found) == (state == "failed")


@pytest.mark.parametrize(
    ("replicas", "state", "said"),
    [
        ({"p.frames.v1": 3, "__transaction_state": 3}, "ok", "3 of each partition, 2 topics"),
        ({"p.frames.v1": 1, "p.scores.v1": 3}, "failed", "p.frames.v1 has 1; the line file says 3"),
        (
            {"p.frames.v1": 3, "__consumer_offsets": 1, "__transaction_state": 2},
            "failed",
            "__consumer_offsets has 1, __transaction_state has 2; the line file says 3",
        ),
        ({"p.frames.v1": 4}, "ok", "3 of each partition, 1 topics; more than that have p.frames.v1"),
    ],
)
def test_replicas_are_counted_kafkas_own_topics_too(replicas: dict[str, int], state: str, said: str) -> None:
    report = Report()
    compare_replicas(line_topics("p", 4, Replication(3, 2)), replicas, report)
    assert only(report).state == state
    assert only(report).found == said
    assert ("kafka-reassign-partitions" in only(report).remedy) == (state == "failed")


def test_a_topic_that_needs_too_few_replicas_for_an_acknowledgement_is_named() -> None:
    report = Report()
    wanted = line_topics("p", 4, Replication(3, 2)).frames
    compare(wanted, described(replace(wanted, replication=Replication(3, 1))), report)
    assert only(report).found == "min.insync.replicas is 1, must be 2"
    assert "min.insync.replicas=2" in only(report).remedy
