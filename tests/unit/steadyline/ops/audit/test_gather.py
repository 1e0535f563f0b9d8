"""The audit from topics to report, on the in-memory twin."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from steadyline.clock import ManualClock
from steadyline.contracts.topics import line_topics
from steadyline.errors import EmptyPicture
from steadyline.kafka.broker import Message, Partition
from steadyline.kafka.dead_letters.letter import read_letter, replay
from steadyline.kafka.loop.dead_letter import dead_letter
from steadyline.kafka.memory.broker import MemoryBroker
from steadyline.ops.audit.gather import Scope, gather
from steadyline.ops.audit.report import Audit
from steadyline.terminal import PlainConsole
from tests.support.line_day import EPOCH, START, LineDay

TOPICS = line_topics("t", 2)
SCOPE = Scope("t.scorer")


@pytest.fixture
def broker() -> MemoryBroker:
    broker = MemoryBroker(ManualClock(START))
    broker.create_topics(list(TOPICS))
    return broker


@pytest.fixture
def day(broker: MemoryBroker) -> LineDay:
    return LineDay(broker, TOPICS)


def audit(broker: MemoryBroker, scope: Scope = SCOPE) -> Audit:
    return Audit.of(gather(broker, TOPICS, scope))


def letters(broker: MemoryBroker) -> list[Message]:
    """Dead-letter every frame on the topic, as the loop does."""
    frames = broker.reader("test").read(TOPICS.frames.name)
    return [dead_letter(record, EmptyPicture("no bytes"), TOPICS.dead_letters.name) for record in frames]


def test_every_frame_is_found_where_it_is(broker: MemoryBroker, day: LineDay) -> None:
    day.capture(1, 2, 4, 5)
    day.score((1, 0), (2, 1))
    day.commit("t.scorer", 2)
    day.status(6, pending=1, drops={3: "drop_oldest"})
    found = audit(broker)
    assert found.is_intact
    assert found.totals() == {
        "captured": 6, "scored": 2, "dropped": 1, "dead_lettered": 0, "in_flight": 3, "expired": 0,
        "newer": 0, "missing": 0, "doubled": 0, "out_of_order": 0,
    }  # fmt: skip


def test_a_consumed_frame_without_score_is_named(broker: MemoryBroker, day: LineDay) -> None:
    day.capture(1, 2, 3)
    day.score((1, 0), (3, 2))
    day.commit("t.scorer", 3)
    day.status(3)
    (entry,) = audit(broker).as_json(20)["cameras"]
    assert entry["missing"] == {"count": 1, "frames": [f"east-1/{EPOCH}/2"]}
    assert not entry["intact"]


def test_the_list_is_bounded_and_says_how_much_is_left_out(broker: MemoryBroker, day: LineDay) -> None:
    day.status(1000)
    found = audit(broker)
    (entry,) = found.as_json(5)["cameras"]
    assert (entry["missing"]["count"], len(entry["missing"]["frames"])) == (1000, 5)
    console = PlainConsole(record=True, width=200)
    found.show(console, 5)
    text = console.export_text()
    assert "... and 995 more missing (--all)" in text
    assert "the identity is broken" in text


def test_a_report_is_plain_json(broker: MemoryBroker, day: LineDay) -> None:
    day.capture(1)
    day.score((1, 0), (1, 0))
    day.status(1)
    report = json.loads(json.dumps(audit(broker).as_json(20)))
    assert report["cameras"][0]["doubled"]["frames"] == [
        {"frame": f"east-1/{EPOCH}/1", "fates": "scored 2 times"}
    ]


def test_a_replayed_letter_is_followed_through_the_topics(broker: MemoryBroker, day: LineDay) -> None:
    day.capture(1)
    day.publish(*letters(broker))
    day.commit("t.scorer", 1)
    day.status(1)
    assert audit(broker).totals()["dead_lettered"] == 1
    (record,) = broker.reader("test").read(TOPICS.dead_letters.name)
    day.publish(replay(read_letter(record), TOPICS.frames.name))
    assert audit(broker).totals()["in_flight"] == 1
    day.score((1, 1))
    day.commit("t.scorer", 2)
    found = audit(broker)
    assert (found.totals()["scored"], found.totals()["dead_lettered"], found.is_intact) == (1, 0, True)


def test_a_letter_that_names_no_frame_is_counted_apart(broker: MemoryBroker, day: LineDay) -> None:
    day.publish(Message(TOPICS.frames.name, b"x", b"junk", (), 0))
    day.publish(*letters(broker))
    found = audit(broker)
    assert (found.accounts, found.nameless_letters, found.is_intact) == ([], 1, True)


def test_what_somebody_else_writes_is_counted_and_breaks_no_account(
    broker: MemoryBroker, day: LineDay
) -> None:
    day.publish(Message(TOPICS.scores.name, b"x", b"{}"), Message(TOPICS.camera_status.name, b"x", b"junk"))
    found = audit(broker)
    assert (found.foreign_scores, found.foreign_statuses, found.is_intact) == (1, 1, True)


def test_the_last_status_of_an_epoch_counts(broker: MemoryBroker, day: LineDay) -> None:
    day.status(5, pending=5)
    day.status(2, pending=2)
    assert audit(broker).totals()["captured"] == 2


def test_one_camera_or_young_epochs_alone_can_be_audited(broker: MemoryBroker, day: LineDay) -> None:
    west = replace(day, camera="west-1", epoch=EPOCH + 7200 * 10**9)
    day.status(1, pending=1)
    west.status(2, pending=2)
    assert audit(broker, replace(SCOPE, camera="east-1")).totals()["captured"] == 1
    assert audit(broker, replace(SCOPE, since=START + timedelta(hours=1))).totals()["captured"] == 2


def test_scores_deleted_by_retention_do_not_count_as_missing() -> None:
    clock = ManualClock(START + timedelta(minutes=5))
    broker = MemoryBroker(clock)
    broker.create_topics(list(TOPICS))
    day = LineDay(broker, TOPICS)
    day.capture(1, 2, 3)
    day.score((1, 0), (2, 1), (3, 2))
    day.commit("t.scorer", 3)
    day.status(3)
    broker.expire(Partition(TOPICS.scores.name, 0), 2)
    young = replace(day, epoch=EPOCH + 10**9)
    young.status(1)
    found = {account.epoch.number: account for account in audit(broker).accounts}
    assert (found[EPOCH].expired, found[EPOCH].is_intact) == (2, True)
    assert not found[EPOCH + 10**9].is_intact


def test_a_clock_that_is_two_hours_ahead_hides_nothing_from_an_audit_of_young_epochs() -> None:
    clock = ManualClock(START - timedelta(hours=2))
    broker = MemoryBroker(clock)
    broker.create_topics(list(TOPICS))
    day = LineDay(broker, TOPICS)
    day.capture(1, 2, 3)
    day.score((1, 0))
    day.refuse(1)
    day.commit("t.scorer", 2)
    clock.advance(timedelta(minutes=10))
    day.status(3)
    totals = audit(broker, replace(SCOPE, since=START - timedelta(minutes=30))).totals()
    assert (totals["scored"], totals["dead_lettered"], totals["in_flight"]) == (1, 1, 1)
    assert totals["missing"] == 0


def test_what_retention_deletes_of_a_clock_that_is_ahead_does_not_count_as_missing() -> None:
    clock = ManualClock(START - timedelta(hours=2))
    broker = MemoryBroker(clock)
    broker.create_topics(list(TOPICS))
    day = LineDay(broker, TOPICS)
    day.capture(1, 2)
    day.score((1, 0))
    clock.advance(timedelta(minutes=10))
    day.score((2, 1))
    day.commit("t.scorer", 2)
    day.status(2)
    broker.expire(Partition(TOPICS.scores.name, 0), 1)
    assert audit(broker).is_intact


def test_a_status_of_the_last_of_days_is_audited_too(broker: MemoryBroker, day: LineDay) -> None:
    replace(day, epoch=(1 << 62) - 1).status(1, pending=1)
    assert audit(broker, replace(SCOPE, since=START)).totals()["captured"] == 1


def test_a_line_without_traffic_is_intact(broker: MemoryBroker) -> None:
    found = audit(broker)
    console = PlainConsole(record=True, width=200)
    found.show(console, 20)
    assert "no camera has been seen yet" in console.export_text()
    assert found.is_intact
