"""Two lines with one prefix: every service says so at its start, and nothing on the topic stops one."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NoReturn

import pytest
from structlog.testing import capture_logs
from typing_extensions import override

import producers.app as producers
from producers.app import ProducersDependencies
from producers.config import ProducersSettings
from producers.delivery.connection import LazyPublisher
from scorer.app import ScorerDependencies, build
from scorer.config import ScorerSettings
from steadyline.clock import ManualClock, SystemClock
from steadyline.contracts.headers import Headers, encode_headers
from steadyline.contracts.topics import Topics
from steadyline.errors import InferenceUnavailable
from steadyline.kafka.broker import Message
from steadyline.kafka.memory.broker import MemoryBroker
from steadyline.kafka.model_events import EventSeal
from steadyline.kafka.shared_prefix import LATELY, MOST_LINES, NEWEST, lines_beside, say_shared_prefix
from steadyline.line import Line
from steadyline.settings import TritonSettings
from steadyline.telemetry.health import ServiceHealth
from tests.support.line_day import START, LineDay
from trainer.control.inbox import InboxDispatcher

SHARED = {"topics": {"prefix": "hall", "partitions": 2}, "products": {"cell": {}}}
OWN = "cells-2"
OTHER = "cells-1"  # of LineDay


@dataclass
class Hall:
    """The topics of a line, on which the line of LineDay has an account too."""

    line: Line = field(default_factory=lambda: Line.model_validate({"line": OWN, **SHARED}))
    clock: ManualClock = field(default_factory=lambda: ManualClock(START))

    def __post_init__(self) -> None:
        self.broker = MemoryBroker(self.clock)
        self.broker.create_topics(list(self.topics))
        self.day = LineDay(self.broker, self.topics)

    @property
    def topics(self) -> Topics:
        return self.line.kafka_topics()

    def headers(self, line: str, **changes: str | None) -> Headers:
        """Return the headers of a status of ``line``; ``changes`` replace the true ones."""
        self.day.status(1)
        *_, record = self.broker.reader("test").read(self.topics.camera_status.name)
        true = {name: (value or b"").decode() for name, value in record.headers}
        return encode_headers({**true, "ce_source": f"/steadyline/{line}", **changes})

    def write(self, *headers: Headers, value: bytes | None = b"{}") -> None:
        topic = self.topics.camera_status.name
        self.day.publish(*(Message(topic, b"east-1/1", value, item) for item in headers))

    def others(self) -> list[str]:
        return lines_beside(self.broker, self.topics, OWN, self.clock)


def said(start: Callable[[], None]) -> list[tuple[str, object]]:
    """Return what was logged of the prefix: each event with the lines in it."""
    with capture_logs() as lines:
        start()
    return [(line["event"], line.get("others")) for line in lines if line["event"].startswith("prefix_")]


def start_a_producer(hall: Hall) -> None:
    """Run one whose only camera ends at once."""
    camera = {"id": "c1", "product": "cell", "source": "synthetic:?fps=100&size=64&limit=1"}
    line = Line.model_validate({"line": OWN, **SHARED, "cameras": [camera]})
    with TemporaryDirectory() as state:
        settings = ProducersSettings(state=Path(state))
        dependencies = ProducersDependencies(line, Path(state), settings, SystemClock())
        with producers.build(dependencies, (), hall.broker, ServiceHealth(hall.clock)) as running:
            running.run(threading.Event())


def start_a_trainer(hall: Hall) -> None:
    dispatcher = InboxDispatcher(hall.broker, hall.line, {}, EventSeal(OWN), hall.clock)
    for _ in range(3):
        assert dispatcher.turn(timedelta(0), threading.Event()) is None


def start_a_scorer(hall: Hall) -> None:
    """Start one whose Triton is away, which it looks at next."""
    away = TritonSettings(url="127.0.0.1:9", timeout_seconds=0.1)
    dependencies = ScorerDependencies(
        hall.line, ScorerSettings(instance="a"), away, EventSeal(OWN), hall.clock
    )
    with (
        pytest.raises(InferenceUnavailable),
        build(dependencies, hall.broker, ServiceHealth(hall.clock)),
    ):
        raise AssertionError("there is no Triton")


STARTS = (start_a_producer, start_a_trainer, start_a_scorer)


@pytest.mark.parametrize("start", STARTS)
def test_every_service_says_once_that_another_line_has_its_prefix(start: Callable[[Hall], None]) -> None:
    hall = Hall()
    assert said(lambda: start(hall)) == []
    hall.day.status(1)
    assert said(lambda: start(hall)) == [("prefix_is_shared", [OTHER])]


class Unfollowed(MemoryBroker):
    """Nobody may look at its topics."""

    @override
    def follower(self, *arguments: object) -> NoReturn:
        raise AssertionError(f"followed: {arguments}")


def test_the_first_frame_of_a_producer_does_not_wait_for_the_look() -> None:
    hall = Hall()
    broker = Unfollowed(hall.clock)
    broker.create_topics(list(hall.topics))
    LazyPublisher(broker, "test", hall.line, 1 << 20, hall.clock).check()


def test_neither_its_own_statuses_nor_those_of_a_line_that_has_moved_away_are_said() -> None:
    hall = Hall()
    hall.write(hall.headers(OWN))
    assert hall.others() == [OTHER]
    hall.clock.advance(LATELY + timedelta(seconds=1))
    assert hall.others() == []


def test_what_is_no_status_names_no_line() -> None:
    hall = Hall()
    wrong = [
        hall.headers("a", ce_type="com.steadyline.score.v1"),
        hall.headers("b", ce_source="elsewhere/b"),
        hall.headers("c", ce_specversion=None),
        (*hall.headers("d"), ("ce_source", b"/steadyline/d")),
        (("ce_source", b"\xff\xfe"),),
        (),
    ]
    hall.write(*wrong)
    hall.write(hall.headers("e"), value=None)
    assert hall.others() == [OTHER, "e"]


def test_a_flood_of_names_stops_no_service_and_fills_no_log() -> None:
    hall = Hall()
    *flood, last = (hall.headers("x" * 5_000 + str(number)) for number in range(20))
    hall.write(last, *(hall.headers(f"line-{number}") for number in range(20)))
    assert len(hall.others()) == MOST_LINES
    hall.write(*flood)
    assert all(len(name) <= 80 for name in hall.others())


def test_only_the_newest_are_read_however_long_the_topic_is() -> None:
    hall = Hall()
    headers = hall.headers(OWN)
    hall.write(*[headers] * NEWEST)
    assert hall.others() == []


def test_a_broker_that_is_away_and_a_topic_that_is_missing_are_no_errors_of_the_prefix() -> None:
    hall = Hall()
    hall.broker.set_away(True)
    look = ("prefix_not_looked_at", None)
    assert said(lambda: say_shared_prefix(hall.broker, hall.topics, OWN, hall.clock)) == [look]
    hall.broker.set_away(False)
    hall.broker.delete_topic(hall.topics.camera_status.name)
    assert said(lambda: say_shared_prefix(hall.broker, hall.topics, OWN, hall.clock)) == [look]
