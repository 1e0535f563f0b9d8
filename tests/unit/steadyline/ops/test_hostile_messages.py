"""Whatever a stranger writes, the tools for operators answer, and the account of others stays as it is."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steadyline.clock import ManualClock
from steadyline.contracts.frame import FrameId
from steadyline.contracts.topics import line_topics
from steadyline.demo.observe import Observer
from steadyline.demo.table import live_table, one_line
from steadyline.kafka.broker import Message, Partition, Record
from steadyline.kafka.dead_letters.replay import Choice, find, in_words, send_back
from steadyline.kafka.memory.broker import MemoryBroker
from steadyline.kafka.record_times import EARLIEST, LATEST, moment_of
from steadyline.ops.audit.gather import Scope, gather
from steadyline.ops.audit.report import Audit
from steadyline.ops.trace.follow import MOST_SIGHTINGS, follow
from steadyline.ops.trace.report import as_json, show
from steadyline.terminal import PlainConsole
from tests.support.demo_scores import a_score
from tests.support.eventually import eventually
from tests.support.hostile import CAMERA, hostile_messages
from tests.support.line_day import EPOCH, START, LineDay

TOPICS = line_topics("t", 2)
SCOPE = Scope("t.scorer")
FRAMES = TOPICS.frames.name

strangers = st.lists(hostile_messages(TOPICS), min_size=1, max_size=8)
clocks = st.datetimes(START.replace(tzinfo=None), timezones=st.just(UTC))


def a_line(before: list[Message], after: list[Message], written: datetime) -> MemoryBroker:
    """Return a line on which west-1 had an honest day, with a stranger's messages around it."""
    broker = MemoryBroker(ManualClock(written))
    broker.create_topics(list(TOPICS))
    day = LineDay(broker, TOPICS, camera="west-1")
    day.publish(*before)
    first = broker.end_offsets([FRAMES])[Partition(FRAMES, 0)]
    day.capture(1, 2, 3)
    day.score((1, first), (2, first + 1))
    day.refuse(first + 2)
    day.commit("t.scorer", first + 3)
    day.status(4, pending=1)
    day.publish(*after)
    return broker


def assert_fit_for_a_terminal(console: PlainConsole) -> None:
    assert all(character.isprintable() or character == "\n" for character in console.export_text())


@settings(deadline=None, max_examples=150)
@given(strangers, strangers, clocks)
def test_the_audit_of_a_camera_is_right_whatever_others_write(
    before: list[Message], after: list[Message], written: datetime
) -> None:
    found = Audit.of(gather(a_line(before, after, written), TOPICS, SCOPE))
    (west,) = [account for account in found.accounts if account.epoch.camera == "west-1"]
    assert (west.captured, west.scored, west.dead_lettered, west.pending, west.is_intact) == (
        4, 2, {"empty_picture": 1}, 1, True,
    )  # fmt: skip
    console = PlainConsole(record=True, width=300, quiet=True)
    found.show(console, 20)
    assert_fit_for_a_terminal(console)
    text = json.dumps(found.as_json(20))
    assert text.isascii()
    assert len(text) < 100_000


@settings(deadline=None, max_examples=100)
@given(strangers, strangers, clocks)
def test_each_frame_s_story_can_be_told_whatever_others_write(
    before: list[Message], after: list[Message], written: datetime
) -> None:
    broker = a_line(before, after, written)
    for camera, sequence in (("west-1", 1), (CAMERA, 1), (CAMERA, 2**63 - 1)):
        timeline = follow(broker, TOPICS, SCOPE.group, FrameId(camera, EPOCH, sequence))
        assert camera != "west-1" or timeline.fate == "scored"
        console = PlainConsole(record=True, width=300, quiet=True)
        show(timeline, TOPICS, console)
        assert_fit_for_a_terminal(console)
        assert json.dumps(as_json(timeline, TOPICS)).isascii()


@settings(deadline=None, max_examples=100)
@given(strangers, strangers, clocks)
def test_letters_are_listed_and_sent_back_whatever_others_write(
    before: list[Message], after: list[Message], written: datetime
) -> None:
    broker = a_line(before, after, written)
    found = find(broker, TOPICS, SCOPE.group, Choice())
    assert all(in_words(past) for past in found.replays.values())
    (own,) = [letter for letter in found.letters if letter.camera == "west-1"]
    chosen = [letter for letter in found.letters if not found.refusal(letter, FRAMES, again=False)]
    assert own in chosen
    sent = list(send_back(broker, TOPICS, {letter.place for letter in chosen}))
    assert [one.problem for one in sent] == [""] * len(chosen)


@given(st.integers(-(2**63), 2**63 - 1))
def test_any_time_of_a_record_is_a_moment(milliseconds: int) -> None:
    written = moment_of(Record(Partition("t", 0), 0, None, b"", (), milliseconds))
    assert EARLIEST <= written <= LATEST
    if 0 <= milliseconds <= 4_000_000_000_000:
        assert written == datetime.fromtimestamp(milliseconds / 1000, UTC)


@pytest.fixture
def broker() -> MemoryBroker:
    made = MemoryBroker(ManualClock(START))
    made.create_topics(list(TOPICS))
    return made


def test_a_status_under_the_key_of_another_camera_is_nobody_s(broker: MemoryBroker) -> None:
    day = LineDay(broker, TOPICS)
    day.status(1, pending=1)
    (honest,) = broker.reader("test").read(TOPICS.camera_status.name)
    day.publish(
        Message(
            TOPICS.camera_status.name,
            b"west-1/7",
            (honest.value or b"").replace(b'1,"captured":1', b'9,"captured":9'),
        )
    )
    found = Audit.of(gather(broker, TOPICS, SCOPE))
    assert (found.totals()["captured"], found.foreign_statuses, found.is_intact) == (1, 1, True)


def test_a_score_of_another_camera_s_partition_or_key_doubles_nothing(broker: MemoryBroker) -> None:
    day = LineDay(broker, TOPICS)
    day.capture(1)
    day.score((1, 0))
    honest = day.score_message(1, 0)
    day.publish(
        Message(honest.topic, b"west-1", honest.value, (), 0),
        Message(honest.topic, honest.key, honest.value, (), 1),
    )
    day.commit(SCOPE.group, 1)
    day.status(1)
    found = Audit.of(gather(broker, TOPICS, SCOPE))
    assert (found.totals()["scored"], found.foreign_scores, found.is_intact) == (1, 2, True)


def test_naming_every_missing_frame_of_a_lie_ends(broker: MemoryBroker) -> None:
    LineDay(broker, TOPICS).status(2**62 - 1)
    found = Audit.of(gather(broker, TOPICS, SCOPE))
    (entry,) = found.as_json(1000)["cameras"]
    assert (entry["missing"]["count"], len(entry["missing"]["frames"])) == (2**62 - 1, 1000)


def test_a_frame_that_is_written_again_and_again_is_read_a_hundred_times(broker: MemoryBroker) -> None:
    day = LineDay(broker, TOPICS)
    day.capture(*[1] * (2 * MOST_SIGHTINGS))
    day.score(*[(1, offset) for offset in range(2 * MOST_SIGHTINGS)])
    timeline = follow(broker, TOPICS, SCOPE.group, FrameId(CAMERA, EPOCH, 1))
    assert (len(timeline.scores), len(timeline.published)) == (MOST_SIGHTINGS, MOST_SIGHTINGS)
    assert timeline.fate == "doubled"


def test_a_letter_of_large_headers_is_kept_small(broker: MemoryBroker) -> None:
    large = b"x" * 100_000
    headers = (("reason", large), ("error", large), ("source-topic", large), ("camera", large))
    LineDay(broker, TOPICS).publish(Message(TOPICS.dead_letters.name, large, large, headers, 0))
    (letter,) = find(broker, TOPICS, SCOPE.group, Choice()).letters
    kept = (letter.reason, letter.error, letter.source_topic, letter.camera)
    assert sum(map(len, kept)) < 2000
    assert (letter.record.headers, letter.record.value, letter.size) == ((), None, 100_000)


def test_a_letter_of_a_partition_that_is_not_there_keeps_no_other_from_its_replay(
    broker: MemoryBroker,
) -> None:
    day = LineDay(broker, TOPICS)
    day.capture(1)
    day.refuse(0)
    (honest,) = broker.reader("test").read(TOPICS.dead_letters.name)
    lie = tuple((name, b"77" if name == "source-partition" else value) for name, value in honest.headers)
    day.publish(Message(TOPICS.dead_letters.name, honest.key, honest.value, lie, 0))
    found = find(broker, TOPICS, SCOPE.group, Choice())
    refusals = [found.refusal(letter, FRAMES, again=False) for letter in found.letters]
    assert refusals == ["", "t.frames.v1 has no partition 77: somebody else wrote this letter"]


@settings(deadline=None, max_examples=5)
@given(st.lists(hostile_messages(TOPICS), min_size=30, max_size=30))
def test_the_table_of_the_demonstration_shows_its_own_cameras(messages: list[Message]) -> None:
    broker = MemoryBroker()
    broker.create_topics(list(TOPICS))
    day = LineDay(broker, TOPICS)
    day.publish(*messages)
    observer = Observer(broker, TOPICS, "g")
    try:
        for camera in ("north-1", "west-1"):
            score = a_score(1).model_copy(update={"camera": camera})
            day.publish(Message(TOPICS.scores.name, camera.encode(), score.encode(), (), 0))
        eventually(lambda: observer.seen.verdicts["west-1", "normal"] == 1)
        console = PlainConsole(record=True, width=300, quiet=True)
        console.print(live_table(observer.seen, "running"))
        console.print(one_line(observer.seen, "running"))
        assert_fit_for_a_terminal(console)
        assert {camera for camera, _ in observer.seen.verdicts} <= {"east-1", "west-1"}
    finally:
        observer.close()
