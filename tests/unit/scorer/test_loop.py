"""The handler in the loop, on the in-memory broker: order, dead letters, rebalances, a storm."""

import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from scorer.lag import measure_lag
from steadyline.contracts.frame import FrameId
from steadyline.contracts.score import Score
from steadyline.kafka.broker import Message, Record
from steadyline.kafka.loop.dlq_limit import StormLimit
from steadyline.kafka.loop.refused_records import DeadLetterPolicy
from steadyline.kafka.loop.stream_loop import LoopPolicy, StreamLoop
from steadyline.kafka.memory.broker import MemoryBroker
from tests.support.bench_top import BenchTop, a_record
from tests.support.eventually import eventually
from tests.support.models import Contrast

STORM = StormLimit(fraction=0.5, messages=20)


@dataclass
class ScoringLine:
    """An in-memory broker with the line's topics, and scorers that run on threads."""

    broker: MemoryBroker = field(default_factory=MemoryBroker)

    def __post_init__(self) -> None:
        self.tops: list[BenchTop] = []
        self.topics = BenchTop().line.kafka_topics()
        self.broker.create_topics(list(self.topics))
        self.sent = 0

    def scorer(self, instance: str) -> "RunningLoop":
        """Start a scorer with version 1 in use."""
        top = BenchTop()
        top.put(1, Contrast())
        self.tops.append(top)
        worker = self.broker.worker("scorer", instance, [self.topics.frames.name])
        policy = LoopPolicy(DeadLetterPolicy(self.topics.dead_letters.name, STORM), commit_every=timedelta(0))

        def turn() -> None:
            top.clock.advance(timedelta(milliseconds=1))
            top.handler.tick()

        loop = StreamLoop(worker, top.handler, policy, top.clock, turn)
        return RunningLoop(loop, worker.close)

    def send(self, count: int, bad_every: int = 0) -> None:
        """Send frames of two cameras in turn; every ``bad_every``-th has no picture."""
        publisher = self.broker.publisher("test")
        for _ in range(count):
            self.sent += 1
            sequence, camera = (self.sent + 1) // 2, f"c{self.sent % 2 + 1}"
            data = b"" if bad_every and self.sent % bad_every == 0 else None
            record = a_record(sequence, data, camera)
            message = Message(self.topics.frames.name, record.key, record.value, record.headers)
            publisher.publish(message, lambda error: None)

    def read(self, topic: str) -> list[Record]:
        return list(self.broker.reader("test").read(topic))

    def lag(self) -> int:
        return sum(measure_lag(self.broker, "scorer", self.topics.frames.name).values())

    def assert_all_accounted_in_order(self) -> None:
        scores = [Score.decode(record.value) for record in self.read(self.topics.scores.name)]
        letters = self.read(self.topics.dead_letters.name)
        refused = [dict(record.headers)["ce_id"].decode() for record in letters]
        seen = Counter([score.frame for score in scores] + refused)
        assert len(seen) == self.sent
        assert set(seen.values()) == {1}
        for camera in ("c1", "c2"):
            order = [FrameId.parse(score.frame).sequence for score in scores if score.camera == camera]
            assert order == sorted(order)


class RunningLoop:
    """A loop on a thread."""

    def __init__(self, loop: StreamLoop, close: object) -> None:
        self._stop = threading.Event()
        self.failed: list[BaseException] = []

        def run() -> None:
            try:
                loop.run(self._stop)
            except BaseException as error:
                self.failed.append(error)

        self.loop = loop
        self._close = close
        self._thread = threading.Thread(target=run)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(20)
        assert callable(self._close)
        self._close()


@pytest.fixture
def line() -> Iterator[ScoringLine]:
    made = ScoringLine()
    yield made
    for top in made.tops:
        top.close()


def test_every_frame_is_scored_once_and_in_order(line: ScoringLine) -> None:
    scorer = line.scorer("a")
    line.send(300)
    eventually(lambda: line.lag() == 0, 20)
    scorer.stop()
    line.assert_all_accounted_in_order()


def test_a_refused_frame_is_a_dead_letter_with_its_bytes_its_headers_and_the_reason(
    line: ScoringLine,
) -> None:
    scorer = line.scorer("a")
    line.send(30, bad_every=10)
    eventually(lambda: line.lag() == 0, 20)
    scorer.stop()
    line.assert_all_accounted_in_order()
    letters = line.read(line.topics.dead_letters.name)
    assert len(letters) == 3
    for letter in letters:
        headers = dict(letter.headers)
        assert (letter.value, headers["reason"]) == (b"", b"empty_picture")
        assert headers["source-topic"].decode() == line.topics.frames.name


def test_scorers_that_join_and_leave_lose_and_double_nothing(line: ScoringLine) -> None:
    first = line.scorer("a")
    line.send(200)
    second = line.scorer("b")
    line.send(200)
    third = line.scorer("c")
    line.send(200)
    first.stop()
    line.send(200)
    second.stop()
    eventually(lambda: line.lag() == 0, 30)
    third.stop()
    line.assert_all_accounted_in_order()


def test_a_storm_of_poison_stops_no_scorer(line: ScoringLine) -> None:
    scorer = line.scorer("a")
    line.send(60, bad_every=1)
    eventually(lambda: scorer.loop.is_storm, 20)
    line.send(200)
    eventually(lambda: line.lag() == 0, 30)
    assert not scorer.loop.is_storm
    scorer.stop()
    line.assert_all_accounted_in_order()
