"""Whose labels and alerts the trainer believes, and what becomes of the frames."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from steadyline.clock import ManualClock
from steadyline.contracts.feedback import Feedback
from steadyline.contracts.headers import Headers
from steadyline.contracts.message import JsonMessage
from steadyline.contracts.topics import Topics, line_topics
from steadyline.kafka.broker import Message
from steadyline.kafka.memory.broker import MemoryBroker
from steadyline.line import Line
from steadyline.store import Store
from tests.support.event_logs import SEAL
from tests.support.labels import a_feedback, an_alert
from tests.support.stream_scores import KEY, a_score
from trainer.control.inbox import InboxDispatcher, ProductInbox, reservoir_rules

NOW = datetime(2026, 3, 1, tzinfo=UTC)
STOP = threading.Event()


@pytest.fixture
def topics() -> Topics:
    return line_topics("t", 2)


@pytest.fixture
def broker(topics: Topics) -> MemoryBroker:
    broker = MemoryBroker(ManualClock())
    broker.create_topics(list(topics))
    return broker


def a_line() -> Line:
    product = {"retrain": {"quarantine": 0}}
    cameras = [
        {"id": "c1", "product": "cell", "source": "synthetic:"},
        {"id": "c2", "product": "tile", "source": "synthetic:"},
    ]
    content = {"line": "line-1", "topics": {"prefix": "t"}, "products": {"cell": product, "tile": product}}
    return Line.model_validate({**content, "cameras": cameras})


class Reading:
    """A trainer's intake that begins, as a process does, with nothing read."""

    def __init__(self, broker: MemoryBroker) -> None:
        line, store = a_line(), Store("memory://s")
        self.inboxes = {
            name: ProductInbox(name, reservoir_rules(line, name, KEY, store)) for name in line.products
        }
        self.dispatcher = InboxDispatcher(broker, line, self.inboxes, SEAL, ManualClock())

    def read(self) -> "Reading":
        while not self.dispatcher.has_read_history:
            assert self.dispatcher.turn(timedelta(0), STOP) is None
        self.dispatcher.turn(timedelta(0), STOP)
        return self

    def held(self) -> list[str]:
        return [normal.frame for normal in self.inboxes["cell"].normals()]

    def labels(self) -> list[tuple[str, str]]:
        return [(str(one.label.frame), one.label.label) for one in self.inboxes["cell"].labelled()]


def send(broker: MemoryBroker, topic: str, key: bytes | None, value: bytes | None, headers: Headers) -> None:
    broker.publisher("t").publish(Message(topic, key, value, headers), lambda error: None)


def send_message(broker: MemoryBroker, topic: str, key: str, message: JsonMessage) -> None:
    send(broker, topic, key.encode(), message.encode(), message.headers("line-1", key, NOW))


def score(broker: MemoryBroker, topics: Topics, *sequences: int) -> None:
    for sequence in sequences:
        message = Message(topics.scores.name, b"c1", a_score(sequence).encode(), partition=0)
        broker.publisher("t").publish(message, lambda error: None)


def label(broker: MemoryBroker, topics: Topics, feedback: Feedback) -> None:
    send_message(broker, topics.feedback.name, feedback.frame, feedback)


def test_labels_and_incidents_keep_frames_out_in_this_process_and_in_the_next(
    broker: MemoryBroker, topics: Topics
) -> None:
    reading = Reading(broker)
    score(broker, topics, *range(1, 9))
    reading.read()
    assert len(reading.held()) == 8
    label(broker, topics, a_feedback("c1/7/1"))
    label(broker, topics, a_feedback("c1/7/5", "good"))
    alert = an_alert("c1/7/4", "c1/7/6")
    send_message(broker, topics.alerts.name, alert.incident, alert)
    reading.dispatcher.turn(timedelta(0), STOP)
    assert (
        reading.held() == Reading(broker).read().held() == ["c1/7/2", "c1/7/3", "c1/7/5", "c1/7/7", "c1/7/8"]
    )
    assert reading.labels() == [("c1/7/1", "defect"), ("c1/7/5", "good")]
    label(broker, topics, a_feedback("c1/7/1", "withdrawn"))
    reading.dispatcher.turn(timedelta(0), STOP)
    assert "c1/7/1" in reading.held()
    assert reading.held() == Reading(broker).read().held()
    assert reading.inboxes["cell"].newer_labels_than(NOW - timedelta(days=9999)) == 1


def test_incidents_of_other_kinds_concern_no_frame(broker: MemoryBroker, topics: Topics) -> None:
    score(broker, topics, 1, 2)
    alert = an_alert("c1/7/1", "c1/7/2", kind="camera_frozen")
    send_message(broker, topics.alerts.name, alert.incident, alert)
    assert Reading(broker).read().held() == ["c1/7/1", "c1/7/2"]


Forged = tuple[bytes | None, bytes | None, Headers]


def forged_labels() -> Iterator[Forged]:
    """Yield records on the topic of labels that are not labels of a frame of this line."""
    said = a_feedback("c1/7/1")
    key, value = said.frame.encode(), said.encode()
    headers = said.headers("line-1", said.frame, NOW)
    for other in (None, b"", b"c1/7/2", b"c1", b"c1/7/1 ", b"c" * 100_000):
        yield other, value, headers
    for content in (None, b"", b"{", b"[" * 100_000, value.replace(b'"ann"', b'""')):
        yield key, content, headers
    yield key, value, ()
    yield key, value, said.headers("line-2", said.frame, NOW)
    yield key, value, said.headers("line-1", "c1/7/2", NOW)
    for frame, update in (
        ("c2/7/1", {}),  # a camera of another product
        ("c9/7/1", {}),  # a camera that the line does not have
        ("c1/7/1", {"camera": "c2"}),
        ("c1/7/1", {"product": "nobody"}),
        ("c1/07/1", {}),
        ("c1/7/0", {}),
        ("../x", {}),
    ):
        wrong = a_feedback(frame).model_copy(update=update)
        yield frame.encode(), wrong.encode(), wrong.headers("line-1", frame, NOW)


def test_what_is_no_label_of_a_frame_of_this_line_changes_nothing_and_stops_nothing(
    broker: MemoryBroker, topics: Topics
) -> None:
    score(broker, topics, 1, 2)
    for key, value, headers in forged_labels():
        send(broker, topics.feedback.name, key, value, headers)
    label(broker, topics, a_feedback("c1/7/2"))
    reading = Reading(broker).read()
    assert reading.held() == ["c1/7/1"]
    assert reading.labels() == [("c1/7/2", "defect")]


def test_what_is_no_alert_of_this_line_keeps_nothing_out(broker: MemoryBroker, topics: Topics) -> None:
    score(broker, topics, 1, 2)
    good, topic = an_alert("c1/7/1", "c1/7/2"), topics.alerts.name
    key, headers = good.incident.encode(), good.headers("line-1", good.incident, NOW)
    send(broker, topic, b"b" * 32, good.encode(), headers)
    send(broker, topic, key, good.encode(), good.headers("line-2", good.incident, NOW))
    send(broker, topic, key, good.encode(), ())
    send(broker, topic, key, None, headers)
    assert good.anomaly is not None
    wrong = good.anomaly.model_copy(update={"last_frame": "c2/7/9"})
    for update in (
        {"camera": "c2"},
        {"camera": None},
        {"product": "tile"},
        {"product": "nobody"},
        {"anomaly": None},
        {"anomaly": wrong},
    ):
        send(broker, topic, key, good.model_copy(update=update).encode(), headers)
    assert Reading(broker).read().held() == ["c1/7/1", "c1/7/2"]
