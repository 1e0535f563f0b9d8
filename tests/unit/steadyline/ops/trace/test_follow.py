"""The story of one frame from topics to words, on the in-memory twin."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from steadyline.clock import ManualClock
from steadyline.contracts.camera_status import CameraStatus
from steadyline.contracts.frame import Frame, FrameId
from steadyline.contracts.score import Score
from steadyline.contracts.topics import line_topics
from steadyline.errors import UndecodablePicture
from steadyline.kafka.broker import Message, Partition
from steadyline.kafka.dead_letters.letter import TopicPosition
from steadyline.kafka.dead_letters.replay import send_back
from steadyline.kafka.memory.broker import MemoryBroker
from steadyline.ops.audit.gather import Scope, gather
from steadyline.ops.trace.follow import follow
from steadyline.ops.trace.report import as_json, show
from steadyline.ops.trace.timeline import FrameTimeline
from steadyline.terminal import PlainConsole
from tests.support.line_day import EPOCH, START, LineDay

TOPICS = line_topics("t", 2)
GROUP = "t.scorer"
TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.fixture
def broker() -> MemoryBroker:
    broker = MemoryBroker(ManualClock(START))
    broker.create_topics(list(TOPICS))
    return broker


@pytest.fixture
def day(broker: MemoryBroker) -> LineDay:
    return LineDay(broker, TOPICS)


def story_of(
    broker: MemoryBroker, sequence: int, camera: str = "east-1", epoch: int = EPOCH
) -> FrameTimeline:
    return follow(broker, TOPICS, GROUP, FrameId(camera, epoch, sequence))


def lines_of(timeline: FrameTimeline) -> list[str]:
    console = PlainConsole(record=True, width=300)
    show(timeline, TOPICS, console)
    return console.export_text().splitlines()


def traced(day: LineDay, sequence: int) -> Message:
    """Return a frame with a trace."""
    frame: Frame = replace(day.frame(sequence), traceparent=f"00-{TRACE}-b7ad6b7169203331-01")
    return Message(TOPICS.frames.name, frame.key, frame.picture, frame.headers(), 0)


def test_a_scored_frame_is_told_from_capture_to_verdict(broker: MemoryBroker, day: LineDay) -> None:
    day.capture(1)
    day.publish(traced(day, 2))
    day.capture(21)
    day.score((1, 0), (2, 1), (21, 2))
    day.commit(GROUP, 3)
    day.status(2)
    timeline = story_of(broker, 2)
    assert (timeline.fate, timeline.is_sound, timeline.product, timeline.trace_id) == (
        "scored",
        True,
        "cell",
        TRACE,
    )
    told = json.loads(json.dumps(as_json(timeline, TOPICS)))
    assert told["captured_at"] == "2027-01-15T08:00:02+00:00"
    (published,) = told["published"]
    assert (published["topic"], published["partition"], published["offset"]) == ("t.frames.v1", 0, 1)
    assert (published["bytes"], published["content_type"], published["waiting"]) == (9, "image/jpeg", False)
    (score,) = told["scores"]
    assert (score["verdict"], score["score"], score["p_value"], score["threshold"]) == ("normal", 0.5, 0.5, 1)
    assert (score["offset"], score["model_version"], score["latency_ms"]) == (1, 1, 40)
    lines = lines_of(timeline)
    assert lines[0] == f"east-1/{EPOCH}/2 of cell: scored: normal, by version 1"
    assert [line.split()[2] for line in lines[1:]] == ["published", "captured", "scored"]
    assert f"to t.frames.v1 0/1: 9 bytes of image/jpeg, trace {TRACE}" in lines[1]
    assert "40 ms after its capture" in lines[3]


def test_what_is_proven_of_a_frame_is_told(broker: MemoryBroker, day: LineDay) -> None:
    day.capture(1)
    plain = day.score_message(1, 0)
    certified = {"certified_verdict": "anomalous", "certified_margin": 3}
    score = Score.decode(plain.value).model_copy(update=certified)
    day.publish(replace(plain, value=score.encode()))
    day.commit(GROUP, 1)
    timeline = story_of(broker, 1)
    assert "; anomalous for every change of at most 3/255" in "\n".join(lines_of(timeline))


def test_a_frame_whose_picture_is_deleted_keeps_its_score(broker: MemoryBroker, day: LineDay) -> None:
    day.capture(1, 2)
    day.score((1, 0), (2, 1))
    day.commit(GROUP, 2)
    broker.expire(Partition(TOPICS.frames.name, 0), 1)
    assert (story_of(broker, 1).fate, story_of(broker, 1).published) == ("scored", [])
    assert len(story_of(broker, 2).published) == 1


@pytest.mark.parametrize("nanoseconds", [0, 1, 137, 400, 556, 999])
def test_a_frame_at_its_producer_is_found_whatever_the_nanosecond_its_epoch_began_in(
    day: LineDay, broker: MemoryBroker, nanoseconds: int
) -> None:
    epoch = EPOCH + nanoseconds
    replace(day, epoch=epoch).status(3, pending=3)
    assert [story_of(broker, sequence, epoch=epoch).fate for sequence in (1, 2, 3)] == ["pending"] * 3


@pytest.mark.parametrize("mended", [timedelta(0), timedelta(hours=2)])
def test_a_frame_of_a_producer_whose_clock_was_two_hours_ahead_is_found(mended: timedelta) -> None:
    """Its epoch and its captures are of its own clock, the topics' times are the broker's."""
    clock = ManualClock(START - timedelta(hours=2))
    broker = MemoryBroker(clock)
    broker.create_topics(list(TOPICS))
    day = LineDay(broker, TOPICS)
    day.capture(1, 2, 3)
    day.score((1, 0))
    day.refuse(1)
    day.commit(GROUP, 2)
    clock.advance(timedelta(minutes=10) + mended)
    day.status(3)
    stories = [story_of(broker, sequence) for sequence in (1, 2, 3)]
    assert [story.fate for story in stories] == ["scored", "dead-lettered", "waiting"]
    assert [len(story.published) for story in stories] == [1, 1, 1]


def test_a_dropped_frame_has_its_reason_and_was_never_published(broker: MemoryBroker, day: LineDay) -> None:
    day.capture(1, 3)
    day.status(3, drops={2: "drop_oldest"})
    timeline = story_of(broker, 2)
    assert (timeline.fate, timeline.dropped, timeline.published) == ("dropped", "drop_oldest", [])
    assert "its producer dropped it: drop_oldest" in lines_of(timeline)[0]
    assert story_of(broker, 1).dropped is None


def test_a_refused_frame_is_told_with_the_command_that_replays_it(broker: MemoryBroker, day: LineDay) -> None:
    day.publish(traced(day, 1))
    day.refuse(0, error=UndecodablePicture("[red]cut off[/] \x1b[2J"))
    day.commit(GROUP, 1)
    timeline = story_of(broker, 1)
    assert (timeline.fate, timeline.trace_id) == ("dead-lettered", TRACE)
    lines = lines_of(timeline)
    assert "`steadyline dlq replay 0/0`" in lines[0]
    assert any("dead letter 0/0: [red]cut off[/] ·[2J" in line for line in lines)


def test_a_replay_is_told_step_by_step(broker: MemoryBroker, day: LineDay) -> None:
    day.capture(1)
    day.refuse(0)
    day.commit(GROUP, 1)
    list(send_back(broker, TOPICS, [TopicPosition(0, 0)]))
    waiting = story_of(broker, 1)
    assert (waiting.fate, [item.ahead for item in waiting.published]) == ("waiting", [None, 0])
    day.score((1, 1))
    day.commit(GROUP, 2)
    scored = story_of(broker, 1)
    assert (scored.fate, scored.is_sound, len(scored.letters)) == ("scored", True, 1)
    assert any("replayed" in line and "from dead letter 0/0" in line for line in lines_of(scored))
    broker.expire(Partition(TOPICS.frames.name, 0), 2)
    assert story_of(broker, 1).fate == "scored", "also when the frames are deleted"


def test_a_replay_that_was_refused_again_stands_as_its_last_letter(
    broker: MemoryBroker, day: LineDay
) -> None:
    day.capture(1)
    day.refuse(0)
    list(send_back(broker, TOPICS, [TopicPosition(0, 0)]))
    day.refuse(1)
    day.commit(GROUP, 2)
    timeline = story_of(broker, 1)
    assert (timeline.fate, [str(letter.place) for letter in timeline.refusals()]) == (
        "dead-lettered",
        ["0/1"],
    )


def test_a_letter_that_nothing_came_of_is_missing_as_in_the_audit(broker: MemoryBroker, day: LineDay) -> None:
    frame = day.message(1)
    forged = Message(frame.topic, frame.key, frame.value, (*frame.headers, ("replayed-from", b"0/0")), 0)
    day.publish(forged)
    day.refuse(0)
    day.commit(GROUP, 1)
    day.status(1)
    timeline = story_of(broker, 1)
    assert (timeline.fate, timeline.is_sound) == ("missing", False)
    assert "it was replayed, and nothing has come of that" in lines_of(timeline)[0]
    (account,) = gather(broker, TOPICS, Scope(GROUP)).accounts()
    assert account.missing == [(1, 1)]


def test_a_waiting_frame_knows_how_many_are_before_it(broker: MemoryBroker, day: LineDay) -> None:
    day.capture(1, 2, 3, 4)
    day.score((1, 0))
    day.commit(GROUP, 1)
    day.status(4)
    timeline = story_of(broker, 4)
    assert (timeline.fate, [item.ahead for item in timeline.published]) == ("waiting", [2])
    assert "2 frames before it" in lines_of(timeline)[0]


def test_before_any_scorer_ran_every_frame_waits(broker: MemoryBroker, day: LineDay) -> None:
    day.capture(1, 2, 3)
    broker.expire(Partition(TOPICS.frames.name, 0), 1)
    timeline = story_of(broker, 3)
    assert (timeline.fate, [item.ahead for item in timeline.published]) == ("waiting", [1])


def test_a_captured_frame_that_is_not_sent_yet_is_pending(broker: MemoryBroker, day: LineDay) -> None:
    day.capture(1)
    day.score((1, 0))
    day.commit(GROUP, 1)
    day.status(3, pending=2)
    timeline = story_of(broker, 3)
    assert (timeline.fate, timeline.is_sound) == ("pending", True)
    assert "2 frames are" in lines_of(timeline)[0]


def test_a_consumed_frame_without_a_fate_is_missing_and_found_on_its_topic(
    broker: MemoryBroker, day: LineDay
) -> None:
    day.capture(1, 2, 3)
    day.score((1, 0), (3, 2))
    day.commit(GROUP, 3)
    day.status(3)
    timeline = story_of(broker, 2)
    assert (timeline.fate, timeline.is_sound) == ("missing", False)
    assert [str(item.place) for item in timeline.published] == ["0/1"]
    assert "steadyline audit" in lines_of(timeline)[0]


def test_a_frame_whose_score_is_deleted_is_expired_not_missing(broker: MemoryBroker, day: LineDay) -> None:
    clock = ManualClock(START.replace(minute=5))
    aged = MemoryBroker(clock)
    aged.create_topics(list(TOPICS))
    other = LineDay(aged, TOPICS)
    other.capture(1, 2, 3)
    other.score((1, 0), (2, 1), (3, 2))
    other.commit(GROUP, 3)
    other.status(3)
    aged.expire(Partition(TOPICS.scores.name, 0), 2)
    timeline = story_of(aged, 1)
    assert (timeline.fate, timeline.is_sound) == ("expired", True)
    assert story_of(aged, 3).fate == "scored"


def test_a_frame_with_two_fates_is_doubled(broker: MemoryBroker, day: LineDay) -> None:
    day.capture(1, 1)
    day.score((1, 0), (1, 1))
    day.commit(GROUP, 2)
    timeline = story_of(broker, 1)
    assert (timeline.fate, timeline.is_sound, len(timeline.published)) == ("doubled", False, 2)


def test_a_dropped_frame_that_was_scored_all_the_same_is_doubled(broker: MemoryBroker, day: LineDay) -> None:
    day.capture(1)
    day.score((1, 0))
    day.commit(GROUP, 1)
    day.status(1, drops={1: "drop_oldest"})
    assert story_of(broker, 1).fate == "doubled"


def test_of_a_frame_that_nobody_has_seen_the_story_says_why(broker: MemoryBroker, day: LineDay) -> None:
    day.capture(1)
    day.status(1)
    for timeline, why in (
        (story_of(broker, 1, camera="west-9"), "no producer of west-9 has told of an epoch"),
        (story_of(broker, 1, epoch=EPOCH - 10**9), "no producer of east-1 has told of an epoch"),
        (story_of(broker, 2), "its producer told of 1 frames at 2027-01-15 08:10:00; ask again"),
        (story_of(broker, 1, epoch=1), "no producer"),
        (story_of(broker, 1, epoch=(1 << 63) - 1), "no producer"),
    ):
        assert (timeline.fate, timeline.is_sound) == ("unknown", False)
        assert why in lines_of(timeline)[0]
        assert as_json(timeline, TOPICS)["fate"] == "unknown"


def test_beyond_the_end_of_an_epoch_there_is_no_frame(broker: MemoryBroker, day: LineDay) -> None:
    day.status(3, pending=3)
    (record,) = broker.reader("test").read(TOPICS.camera_status.name)
    ended = CameraStatus.decode(record.value).model_copy(update={"state": "ended"})
    day.publish(Message(TOPICS.camera_status.name, record.key, ended.encode(), record.headers))
    assert "told of 3 frames at 2027-01-15 08:10:00, and then ended" in lines_of(story_of(broker, 4))[0]


def test_unreadable_messages_and_those_of_other_frames_change_nothing(
    broker: MemoryBroker, day: LineDay
) -> None:
    day.publish(
        Message(TOPICS.camera_status.name, b"east-1", b"junk"),
        Message(TOPICS.camera_status.name, b"east-1", None),
        Message(TOPICS.scores.name, b"east-1", b'{"frame": "east-1/%d/1"}' % EPOCH, (), 0),
        Message(TOPICS.dead_letters.name, b"east-1", None, (("ce_id", b"\xff"),), 0),
        Message(TOPICS.frames.name, b"east-1", b"junk", (), 0),
    )
    assert story_of(broker, 1).fate == "unknown"
