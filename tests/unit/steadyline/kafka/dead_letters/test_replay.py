"""Dead letters found, judged and replayed, on the in-memory twin."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from typing_extensions import override

from steadyline.clock import ManualClock
from steadyline.contracts.topics import line_topics
from steadyline.errors import (
    Backpressure,
    BrokerUnavailable,
    EmptyPicture,
    PictureTooLarge,
    UndecodablePicture,
)
from steadyline.kafka.broker import Message, Partition, Publisher
from steadyline.kafka.dead_letters.letter import Letter, TopicPosition, read_letter
from steadyline.kafka.dead_letters.replay import (
    Choice,
    ChosenLetters,
    Replay,
    find,
    in_words,
    read_whole,
    send_back,
)
from steadyline.kafka.memory.broker import MemoryBroker
from steadyline.ops.audit.gather import Scope, gather
from steadyline.ops.audit.report import Audit
from tests.support.line_day import START, LineDay

TOPICS = line_topics("t", 2)
GROUP = "t.scorer"
FIRST, SECOND = TopicPosition(0, 0), TopicPosition(0, 1)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
def broker(clock: ManualClock) -> MemoryBroker:
    broker = MemoryBroker(clock)
    broker.create_topics(list(TOPICS))
    return broker


@pytest.fixture
def day(broker: MemoryBroker) -> LineDay:
    return LineDay(broker, TOPICS)


def found(broker: MemoryBroker, choice: Choice | None = None, most: int | None = None) -> ChosenLetters:
    return find(broker, TOPICS, GROUP, choice or Choice(), most)


def places(letters: list[Letter]) -> list[str]:
    return [str(letter.place) for letter in letters]


def replay_all(broker: MemoryBroker, *chosen: TopicPosition) -> list[str]:
    """Replay the letters at these places; returns the problems."""
    return [sent.problem for sent in send_back(broker, TOPICS, chosen)]


def refused_once(broker: MemoryBroker, day: LineDay) -> None:
    """Let frame 1 be scored and frame 2 be refused."""
    day.capture(1, 2)
    day.score((1, 0))
    day.refuse(1)
    day.commit(GROUP, 2)
    day.status(2)


def test_a_replay_is_the_refused_frame_untouched_and_says_where_it_comes_from(
    broker: MemoryBroker, day: LineDay
) -> None:
    before = day.message(1, b"\x00 no picture \xff")
    day.publish(before)
    day.refuse(0)
    assert replay_all(broker, FIRST) == [""]
    *_, after = broker.reader("test").read(TOPICS.frames.name)
    assert (after.key, after.value, after.partition.number) == (before.key, before.value, 0)
    assert after.headers == (*before.headers, ("replayed-from", b"0/0"))


def test_a_frame_refused_again_is_replayed_with_the_mark_of_its_last_letter_alone(
    broker: MemoryBroker, day: LineDay
) -> None:
    day.capture(1)
    day.refuse(0)
    replay_all(broker, FIRST)
    day.refuse(1)
    replay_all(broker, SECOND)
    *_, after = broker.reader("test").read(TOPICS.frames.name)
    assert after.headers == (*day.message(1).headers, ("replayed-from", b"0/1"))


def test_a_replay_is_followed_from_waiting_to_scored(broker: MemoryBroker, day: LineDay) -> None:
    refused_once(broker, day)
    assert found(broker).replays == {}
    replay_all(broker, FIRST)
    assert found(broker).replays == {FIRST: Replay("waiting", TopicPosition(0, 2))}
    day.score((2, 2))
    day.commit(GROUP, 3)
    assert found(broker).replays == {FIRST: Replay("scored", TopicPosition(0, 2))}
    assert Audit.of(gather(broker, TOPICS, Scope(GROUP))).is_intact


def test_a_replay_refused_again_leads_to_the_letter_that_may_be_replayed_now(
    broker: MemoryBroker, day: LineDay
) -> None:
    refused_once(broker, day)
    replay_all(broker, FIRST)
    day.refuse(2, error=UndecodablePicture("truncated"))
    day.commit(GROUP, 3)
    now = found(broker)
    assert now.replays == {FIRST: Replay("refused", SECOND)}
    frames = TOPICS.frames.name
    assert [now.refusal(letter, frames, again=False) for letter in now.letters] == [
        "it was replayed before and was refused again as 0/1",
        "",
    ]
    assert [now.refusal(letter, frames, again=True) for letter in now.letters] == ["", ""]
    assert Audit.of(gather(broker, TOPICS, Scope(GROUP))).is_intact


def test_a_score_from_before_the_refusal_is_no_replay(broker: MemoryBroker, day: LineDay) -> None:
    day.capture(1)
    day.score((1, 0))
    day.publish(day.message(1))  # a copy, and that is refused
    day.refuse(1)
    day.commit(GROUP, 2)
    assert found(broker).replays == {}


def test_a_mark_that_another_frame_bears_is_no_replay(broker: MemoryBroker, day: LineDay) -> None:
    refused_once(broker, day)
    other = day.message(3)
    forged = Message(other.topic, other.key, other.value, (*other.headers, ("replayed-from", b"0/0")), 0)
    day.publish(forged)
    assert found(broker).replays == {}
    day.refuse(2)
    day.commit(GROUP, 3)
    assert found(broker).replays == {}


def test_a_replay_that_retention_deleted_unread_may_be_done_again(broker: MemoryBroker, day: LineDay) -> None:
    refused_once(broker, day)
    replay_all(broker, FIRST)
    broker.expire(Partition(TOPICS.frames.name, 0), 3)
    assert found(broker).replays == {}


def test_when_scores_are_deleted_nobody_can_tell_of_older_replays(
    broker: MemoryBroker, day: LineDay, clock: ManualClock
) -> None:
    refused_once(broker, day)
    replay_all(broker, FIRST)
    day.score((2, 2))
    day.commit(GROUP, 3)
    clock.advance(timedelta(days=20))
    day.capture(3)
    day.score((3, 3))
    broker.expire(Partition(TOPICS.scores.name, 0), 2)
    assert found(broker).replays == {FIRST: Replay("unknown")}
    assert "nobody can tell" in in_words(Replay("unknown"))


def test_letters_are_chosen_by_reason_camera_place_and_time(
    broker: MemoryBroker, day: LineDay, clock: ManualClock
) -> None:
    west = LineDay(broker, TOPICS, camera="west-1")
    day.capture(1, 2)
    west.capture(1)
    day.refuse(0)
    clock.advance(timedelta(hours=1))
    day.refuse(1, 2, error=PictureTooLarge("too many bytes"))
    assert places(found(broker).letters) == ["0/0", "0/1", "0/2"]
    assert places(found(broker, Choice(reason="picture_too_large")).letters) == ["0/1", "0/2"]
    assert places(found(broker, Choice(reason="picture_too_large", camera="west-1")).letters) == ["0/2"]
    assert places(found(broker, Choice(frozenset([SECOND]))).letters) == ["0/1"]
    assert places(found(broker, Choice(since=START + timedelta(minutes=30))).letters) == ["0/1", "0/2"]
    assert found(broker, Choice(reason="poison")).reasons == {"empty_picture": 1, "picture_too_large": 2}


def test_of_many_letters_the_newest_are_kept_in_their_order(
    broker: MemoryBroker, day: LineDay, clock: ManualClock
) -> None:
    day.capture(*range(1, 7))
    for offset in range(6):
        day.refuse(offset)
        clock.advance(timedelta(seconds=1))
    newest = found(broker, most=2)
    assert (places(newest.letters), newest.matching) == (["0/4", "0/5"], 6)
    assert newest.letters[0].record.value is None


def test_a_letter_without_frame_id_is_known_by_its_camera_and_can_be_replayed(
    broker: MemoryBroker, day: LineDay
) -> None:
    junk = Message(TOPICS.frames.name, b"east-1", b"junk", (("ce_id", b"\xff"),), 0)
    day.publish(junk)
    day.refuse(0)
    (letter,) = found(broker, Choice(camera="east-1")).letters
    assert (letter.frame, letter.size) == (None, 4)
    assert replay_all(broker, FIRST) == [""]
    assert found(broker).replays == {FIRST: Replay("waiting", SECOND)}
    day.refuse(1)
    day.commit(GROUP, 2)
    assert found(broker).replays == {FIRST: Replay("refused", SECOND)}


def test_what_did_not_come_from_the_frames_topic_is_not_replayed_there(
    broker: MemoryBroker, day: LineDay
) -> None:
    foreign = Message(TOPICS.dead_letters.name, b"x", b"x", (("reason", b"spam"),), 0)
    day.publish(foreign)
    now = found(broker)
    assert now.refusal(now.letters[0], TOPICS.frames.name, again=True) == (
        "it came from nobody knows where, not from t.frames.v1"
    )


OURS = (("reason", b"empty_picture"), ("error", b""), ("source-topic", b"t.frames.v1"))


@pytest.mark.parametrize(
    ("place", "source"),
    [
        ((("source-partition", b"0"), ("source-offset", b"x")), None),
        ((("source-partition", b"0"), ("source-offset", b"9" * 19)), None),
        ((("source-partition", b"0"), ("source-offset", b"0"), ("note", b"\xff")), FIRST),
    ],
    ids=["no number", "too large a number", "another header behind"],
)
def test_a_letter_that_breaks_the_contract_is_read_as_far_as_it_goes(
    broker: MemoryBroker,
    day: LineDay,
    place: tuple[tuple[str, bytes], ...],
    source: TopicPosition | None,
) -> None:
    day.publish(Message(TOPICS.dead_letters.name, b"x", b"x", (*OURS, *place), 0))
    (letter,) = found(broker).letters
    assert (letter.reason, letter.source_topic, letter.source) == ("empty_picture", "t.frames.v1", source)


class Narrow(MemoryBroker):
    """Its publishers have room for ``room`` messages until they are flushed, and end after ``life``."""

    def __init__(self, room: int, life: int) -> None:
        super().__init__(ManualClock(START))
        self.room, self.life = room, life

    @override
    def publisher(
        self, client: str, bytes_in_flight: int = 32 << 20, patience: timedelta = timedelta(seconds=30)
    ) -> Publisher:
        return NarrowPublisher(self, super().publisher(client, bytes_in_flight, patience))


class NarrowPublisher:
    """Acknowledges when it is flushed, as a real one may."""

    def __init__(self, broker: Narrow, within: Publisher) -> None:
        self._broker, self._within = broker, within
        self._open: list[tuple[Message, Callable[[Exception | None], None]]] = []

    def publish(self, message: Message, done: Callable[[Exception | None], None]) -> None:
        if len(self._open) >= self._broker.room:
            raise Backpressure("no room")
        if self._broker.life == 0:
            raise BrokerUnavailable("gone")
        self._broker.life -= 1
        self._open.append((message, done))

    @property
    def stamped_ms(self) -> int:
        return self._within.stamped_ms

    def flush(self, within: timedelta) -> bool:
        for message, done in self._open:
            self._within.publish(message, done)
        self._open.clear()
        return True

    def close(self) -> None:
        self._within.close()


def three_refused(broker: MemoryBroker) -> list[TopicPosition]:
    broker.create_topics(list(TOPICS))
    day = LineDay(broker, TOPICS)
    day.capture(1, 2, 3)
    day.refuse(0, 1, 2)
    return [TopicPosition(0, 0), TopicPosition(0, 1), TopicPosition(0, 2)]


def marks(broker: MemoryBroker) -> list[bytes]:
    """Return what the replayed frames on the topic say they were."""
    headers = [dict(record.headers) for record in broker.reader("test").read(TOPICS.frames.name)]
    return [found["replayed-from"] for found in headers if "replayed-from" in found]


@pytest.mark.parametrize("room", [1, 2, 3])
def test_letters_beyond_the_room_of_the_publisher_are_sent_in_turn(room: int) -> None:
    broker = Narrow(6, life=9)
    chosen = three_refused(broker)
    broker.room = room
    sent = list(send_back(broker, TOPICS, chosen))
    assert [(one.letter.place, one.problem) for one in sent] == [(place, "") for place in chosen]
    assert marks(broker) == [b"0/0", b"0/1", b"0/2"]


@pytest.mark.parametrize("room", [1, 3])
def test_an_outage_ends_the_replay_and_says_what_went_through(room: int) -> None:
    broker = Narrow(6, life=6)
    chosen = three_refused(broker)
    broker.room, broker.life = room, 1
    sent = list(send_back(broker, TOPICS, chosen))
    assert [(str(one.letter.place), one.problem) for one in sent] == [("0/0", ""), ("0/1", "gone")]
    assert marks(broker) == [b"0/0"]


def test_the_refused_bytes_are_read_whole(broker: MemoryBroker, day: LineDay) -> None:
    day.publish(day.message(1, b"one"), day.message(2, b"two"), day.message(3, b"three"))
    day.refuse(0, 1, 2)
    whole = read_whole(broker, broker.reader("test"), TOPICS, [FIRST, TopicPosition(0, 2)])
    assert [letter.record.value for letter in whole] == [b"one", b"three"]


@pytest.mark.parametrize("text", ["", "1", "1/", "/1", "-1/2", "1/2/3", "a/b", "1/٣", "1/" + "9" * 19])
def test_what_is_no_place_is_none(text: str) -> None:
    assert TopicPosition.parse(text) is None


def test_a_place_reads_as_it_is_written() -> None:
    assert TopicPosition.parse(str(TopicPosition(3, 41))) == TopicPosition(3, 41)


def test_a_letter_s_error_and_reason_come_from_the_loop_s_own_headers(
    broker: MemoryBroker, day: LineDay
) -> None:
    frame = day.message(1)
    forged = Message(frame.topic, frame.key, frame.value, (*frame.headers, ("reason", b"fine")), 0)
    day.publish(forged)
    day.refuse(0, error=EmptyPicture("nothing in it"))
    (record,) = broker.reader("test").read(TOPICS.dead_letters.name)
    letter = read_letter(record)
    assert (letter.reason, letter.error, letter.source) == ("empty_picture", "nothing in it", FIRST)
