"""The sender keeps order, bounds what is in flight, and knows the fate of every frame."""

import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from kafka.errors import InvalidTimestampError
from typing_extensions import override

from producers.accounting.ledger import Ledger
from producers.delivery.buffer import BufferLimits, MemoryBuffer
from producers.delivery.connection import LazyPublisher
from producers.delivery.sender import Sender, Window
from producers.delivery.status_publisher import StatusPublisher
from steadyline.clock import ManualClock
from steadyline.contracts.frame import Frame, FrameId
from steadyline.contracts.headers import Headers
from steadyline.contracts.topics import line_topics
from steadyline.errors import BrokerUnavailable, ClockRefused, ContractBroken, NotAllowed, PictureTooLarge
from steadyline.kafka.broker import Message, Publisher
from steadyline.kafka.client.connection import translated
from steadyline.kafka.memory.broker import MemoryBroker
from steadyline.line import Line

LINE = Line.model_validate({"line": "l", "topics": {"prefix": "t", "partitions": 2}, "products": {"p": {}}})
TOPICS = LINE.kafka_topics()
STOP = threading.Event()
Done = Callable[[Exception | None], None]


class HeldPublisher:
    """Keeps what it is given until the test says what becomes of it."""

    def __init__(self, inner: Publisher) -> None:
        self.held: list[tuple[Message, Done]] = []
        self._inner = inner

    def publish(self, message: Message, done: Done) -> None:
        self.held.append((message, done))

    def deliver(self, index: int = 0) -> None:
        message, done = self.held.pop(index)
        self._inner.publish(message, done)

    def lose(self, index: int = 0, delivered: bool = False, error: Exception | None = None) -> None:
        """Fail a delivery, after the broker took the message or not."""
        message, done = self.held.pop(index)
        if delivered:
            self._inner.publish(message, lambda _error: None)
        done(error or BrokerUnavailable("the connection was lost"))

    @property
    def stamped_ms(self) -> int:
        return self._inner.stamped_ms

    def flush(self, within: timedelta) -> bool:
        return not self.held

    def close(self) -> None:
        for _message, done in self.held:
            done(BrokerUnavailable("closed"))


class HeldBroker(MemoryBroker):
    """A memory broker whose publisher is a HeldPublisher."""

    held: HeldPublisher
    refusal: NotAllowed | None = None  # what every new connection is told

    @override
    def describe_topics(self, names: Sequence[str]) -> dict[str, tuple[int, dict[str, str]]]:
        if self.refusal is not None:
            raise self.refusal
        return super().describe_topics(names)

    @property
    def forger(self) -> Publisher:
        """A publisher of somebody else, which holds nothing back."""
        return super().publisher("forger")

    @override
    def publisher(
        self, client: str, bytes_in_flight: int = 1 << 20, patience: timedelta = timedelta(seconds=30)
    ) -> Publisher:
        self.held = HeldPublisher(super().publisher(client))
        return self.held


class SenderBench:
    """A sender with all it needs, and the frames put in."""

    def __init__(self, tmp_path: Path, broker: MemoryBroker) -> None:
        self.clock = ManualClock(datetime.now(UTC))
        self.broker = broker
        self.ledger = Ledger("l", "c1", "p", tmp_path)
        self.epoch = self.ledger.open(self.clock.now())
        self.buffer = MemoryBuffer("block", BufferLimits(100, 1 << 20), self.ledger.drop)
        self.publisher = LazyPublisher(broker, "test", LINE, 1 << 20, self.clock)
        self.sender = Sender(TOPICS.frames.name, [self.buffer], self.ledger, self.publisher, self.clock)

    def put(self, count: int) -> None:
        for _ in range(count):
            identity = self.ledger.capture(self.clock.now())
            picture = b"picture %d" % identity.sequence
            self.buffer.put(Frame(identity, "l", "p", self.clock.now(), "image/png", picture), STOP)

    def turn(self, times: int = 20) -> None:
        for _ in range(times):
            if not self.sender.turn(STOP):
                return

    def published(self) -> list[int]:
        records = self.broker.reader("test").read(TOPICS.frames.name)
        return [Frame.decode(record.value, record.headers).id.sequence for record in records]

    def counts(self) -> tuple[int, int, dict[str, int]]:
        balance = self.epoch.account.balance()
        return balance.published, balance.pending, balance.dropped


@pytest.fixture
def held(tmp_path: Path) -> tuple[SenderBench, HeldPublisher]:
    broker = HeldBroker()
    broker.create_topics(list(TOPICS))
    bench = SenderBench(tmp_path, broker)
    bench.publisher.check()
    return bench, broker.held


def test_frames_are_published_in_order_and_counted(tmp_path: Path) -> None:
    broker = MemoryBroker()
    broker.create_topics(list(TOPICS))
    bench = SenderBench(tmp_path, broker)
    bench.put(5)
    bench.turn()
    assert bench.published() == [1, 2, 3, 4, 5]
    assert bench.counts() == (5, 0, {})


def test_an_outage_holds_the_frames_and_loses_none(tmp_path: Path) -> None:
    broker = MemoryBroker()
    broker.create_topics(list(TOPICS))
    bench = SenderBench(tmp_path, broker)
    broker.set_away(True)
    bench.put(3)
    bench.turn()
    assert bench.counts() == (0, 3, {})
    assert bench.publisher.problem
    broker.set_away(False)
    bench.turn()
    assert bench.published() == [1, 2, 3]
    assert not bench.publisher.problem


def test_no_more_is_in_flight_than_the_window_allows(held: tuple[SenderBench, HeldPublisher]) -> None:
    bench, publisher = held
    bench.sender.limit(Window(frames=2, bytes=1 << 20))
    bench.put(4)
    bench.turn()
    assert len(publisher.held) == 2
    publisher.deliver()
    bench.turn()
    assert len(publisher.held) == 2
    assert bench.published() == [1]


def test_bytes_in_flight_are_bounded_but_one_frame_always_passes(
    held: tuple[SenderBench, HeldPublisher],
) -> None:
    bench, publisher = held
    bench.sender.limit(Window(frames=10, bytes=1))
    bench.put(2)
    bench.turn()
    assert len(publisher.held) == 1


def test_a_lost_acknowledgement_does_not_double_the_frame(held: tuple[SenderBench, HeldPublisher]) -> None:
    bench, publisher = held
    bench.put(2)
    bench.turn()
    publisher.lose(delivered=True)
    publisher.deliver()
    bench.turn()
    assert bench.published() == [1, 2]
    assert bench.counts() == (2, 0, {})


def test_lost_frames_are_sent_again_in_order(held: tuple[SenderBench, HeldPublisher]) -> None:
    bench, publisher = held
    bench.put(4)
    bench.turn()
    publisher.deliver()
    for _ in range(3):
        publisher.lose()
    bench.turn()
    while publisher.held:
        publisher.deliver()
    assert bench.published() == [1, 2, 3, 4]
    assert bench.counts() == (4, 0, {})


def test_nothing_is_sent_while_the_fate_of_a_frame_is_open(held: tuple[SenderBench, HeldPublisher]) -> None:
    bench, publisher = held
    bench.put(2)
    bench.turn()
    publisher.lose()
    bench.put(1)
    bench.turn()
    assert len(publisher.held) == 1  # only the second, which was in flight before
    publisher.lose()
    bench.turn()
    assert [message.value for message, _ in publisher.held] == [b"picture 1", b"picture 2", b"picture 3"]


def test_a_frame_that_was_overtaken_is_dropped_and_not_sent_late(
    held: tuple[SenderBench, HeldPublisher],
) -> None:
    bench, publisher = held
    bench.put(3)
    bench.turn()
    publisher.lose()
    publisher.deliver()
    publisher.deliver()
    bench.turn()
    assert bench.published() == [2, 3]
    assert bench.counts() == (2, 0, {"delivery_failed": 1})


def test_a_frame_the_broker_keeps_refusing_is_dropped_at_last(
    held: tuple[SenderBench, HeldPublisher],
) -> None:
    bench, publisher = held
    bench.put(2)
    for _ in range(5):
        bench.turn()
        while publisher.held:
            publisher.lose()
    bench.turn()
    assert bench.counts()[2] == {"delivery_failed": 2}


def test_a_frame_refused_for_what_it_is_has_that_reason(held: tuple[SenderBench, HeldPublisher]) -> None:
    bench, publisher = held
    bench.put(1)
    bench.turn()
    publisher.lose(error=PictureTooLarge("too large for the broker"))
    bench.turn()
    assert bench.counts() == (0, 0, {"picture_too_large": 1})


def test_a_silent_broker_is_told_to_the_health_page(held: tuple[SenderBench, HeldPublisher]) -> None:
    bench, publisher = held
    bench.put(1)
    bench.turn()
    assert bench.publisher.problem == ""
    bench.clock.advance(timedelta(seconds=11))
    assert bench.publisher.problem == "no acknowledgement for 11 s"
    publisher.deliver()
    assert bench.publisher.problem == ""
    bench.clock.advance(timedelta(seconds=60))
    assert bench.publisher.problem == ""


def test_missing_or_wrong_topics_end_the_process_with_what_to_do(tmp_path: Path) -> None:
    bench = SenderBench(tmp_path, MemoryBroker())
    bench.put(1)
    with pytest.raises(ContractBroken, match="steadyline topics create"):
        bench.turn(1)
    broker = MemoryBroker()
    broker.create_topics(list(line_topics("t", 3)))
    bench = SenderBench(tmp_path / "second", broker)
    bench.put(1)
    with pytest.raises(ContractBroken, match="3 partitions"):
        bench.turn(1)


def forger_of(bench: SenderBench) -> Publisher:
    assert isinstance(bench.broker, HeldBroker)
    return bench.broker.forger


def forge(bench: SenderBench, sequence: int, headers: Headers = (), key: bytes = b"c1") -> None:
    """Write a frame with the id of one of the bench's frames, as anybody can who may write frames."""
    identity = FrameId("c1", bench.epoch.epoch, sequence)
    frame = Frame(identity, "l", "p", bench.clock.now(), "image/png", b"forged")
    message = Message(TOPICS.frames.name, key, frame.picture, (*frame.headers(), *headers))
    forger_of(bench).publish(message, lambda _error: None)


def test_forged_frames_neither_settle_nor_overtake_what_was_not_sent(
    held: tuple[SenderBench, HeldPublisher],
) -> None:
    bench, publisher = held
    bench.put(4)
    bench.turn()
    proof = dict(publisher.held[0][0].headers)["proof"]
    publisher.deliver()
    forge(bench, 2)
    forge(bench, 3, (("proof", proof),))
    forge(bench, 4, (("proof", proof), ("proof", proof)))
    forge(bench, 1 << 62)
    forge(bench, (1 << 63) - 1, (("proof", b""),))
    for _ in range(3):
        publisher.lose()
    bench.turn()
    while publisher.held:
        publisher.deliver()
    own = [record.value for record in bench.broker.reader("x").read(TOPICS.frames.name)]
    assert [value for value in own if value != b"forged"] == [b"picture %d" % n for n in (1, 2, 3, 4)]
    assert bench.counts() == (4, 0, {})


def test_a_frame_that_claims_two_ids_is_nobodys(held: tuple[SenderBench, HeldPublisher]) -> None:
    bench, publisher = held
    bench.put(2)
    bench.turn()
    message, _ = publisher.held[1]
    two = (*message.headers, ("ce_id", b"c1/1/1"))
    forger_of(bench).publish(Message(message.topic, message.key, b"forged", two), lambda _error: None)
    for _ in range(2):
        publisher.lose()
    bench.turn()
    assert [message.value for message, _ in publisher.held] == [b"picture 1", b"picture 2"]


@pytest.mark.parametrize("ahead", [timedelta(hours=2), timedelta(hours=-2), timedelta(days=-20_000)])
def test_a_wrong_clock_doubles_no_frame_whose_acknowledgement_was_lost(
    tmp_path: Path, ahead: timedelta
) -> None:
    """The topic goes by the broker's clock, and the search of it by the time stamps that it gave."""
    broker = HeldBroker(ManualClock(datetime.now(UTC)))
    broker.create_topics(list(TOPICS))
    bench = SenderBench(tmp_path, broker)
    bench.clock.set(bench.clock.now() + ahead)
    bench.publisher.check()
    publisher = broker.held
    bench.put(3)
    bench.turn()
    publisher.deliver()
    publisher.lose(delivered=True)
    publisher.lose()
    bench.turn()
    while publisher.held:
        publisher.deliver()
    assert bench.published() == [1, 2, 3]
    assert bench.counts() == (3, 0, {})
    assert abs(bench.publisher.clock_error() + ahead) < timedelta(seconds=5)


def test_frames_are_held_as_long_as_the_broker_refuses_the_clock_and_the_reason_is_told(
    held: tuple[SenderBench, HeldPublisher],
) -> None:
    bench, publisher = held
    refusal = translated(InvalidTimestampError(), "publishing to frames.v1")
    assert isinstance(refusal, ClockRefused)
    bench.put(2)
    for _ in range(20):
        bench.turn()
        while publisher.held:
            publisher.lose(error=refusal)
    assert bench.counts() == (0, 2, {})
    assert "the broker refuses the time of this machine's clock" in bench.publisher.problem
    bench.turn()
    while publisher.held:
        publisher.deliver()
    assert bench.counts() == (2, 0, {})
    assert bench.published() == [1, 2]
    assert bench.publisher.problem == ""


def test_frames_are_held_as_long_as_a_right_is_taken_and_then_sent_by_a_new_connection(
    held: tuple[SenderBench, HeldPublisher],
) -> None:
    bench, publisher = held
    broker = bench.broker
    assert isinstance(broker, HeldBroker)
    bench.put(3)
    bench.turn()
    publisher.deliver()
    broker.refusal = NotAllowed("publishing to frames.v1: TopicAuthorizationFailedError")
    while publisher.held:
        publisher.lose(error=broker.refusal)
    for _ in range(20):
        bench.turn()
        bench.clock.advance(timedelta(seconds=1))
    assert bench.counts() == (1, 2, {})
    assert "TopicAuthorizationFailedError" in bench.publisher.problem
    assert publisher.held == [], "a client that was refused is given nothing more"

    broker.refusal = None
    bench.turn()
    while broker.held.held:
        broker.held.deliver()
    assert broker.held is not publisher
    assert bench.published() == [1, 2, 3]
    assert bench.counts() == (3, 0, {})
    assert bench.publisher.problem == ""


def test_a_status_alone_finds_out_that_a_right_is_back(
    held: tuple[SenderBench, HeldPublisher],
) -> None:
    """A camera that is down sends no frame, and its state is what people wait for."""
    bench, _ = held
    broker = bench.broker
    assert isinstance(broker, HeldBroker)
    statuses = StatusPublisher(TOPICS.camera_status.name, "l", bench.publisher)
    status = bench.epoch.status("down", "source_lost", bench.clock.now())
    told: list[str] = []
    bench.publisher.check()
    assert statuses.announce(status, lambda: told.append("first"))
    broker.refusal = NotAllowed("publishing to camera-status.v1: TopicAuthorizationFailedError")
    broker.held.lose(error=broker.refusal)
    for _ in range(3):
        assert not statuses.announce(status, lambda: told.append("refused"))
        bench.clock.advance(timedelta(seconds=2))
    broker.refusal = None
    assert statuses.announce(status, lambda: told.append("again"))
    broker.held.deliver()
    assert told == ["again"]
    assert bench.publisher.problem == ""


def test_a_process_that_never_had_the_right_ends_and_says_what_it_lacks(tmp_path: Path) -> None:
    broker = HeldBroker()
    broker.create_topics(list(TOPICS))
    broker.refusal = NotAllowed("describing topics: TopicAuthorizationFailedError")
    bench = SenderBench(tmp_path, broker)
    with pytest.raises(NotAllowed, match="describing topics"):
        bench.publisher.check()
