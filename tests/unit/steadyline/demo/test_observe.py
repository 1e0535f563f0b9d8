"""The demonstration sees what comes over the topics, and goes on after what it cannot read."""

from collections.abc import Iterator

import pytest

from steadyline.contracts.topics import line_topics
from steadyline.demo.observe import Observer
from steadyline.kafka.broker import Message
from steadyline.kafka.memory.broker import MemoryBroker
from tests.support.demo_scores import a_score
from tests.support.eventually import eventually
from tests.support.model_history import a_history

TOPICS = line_topics("t", 1)


@pytest.fixture
def broker() -> MemoryBroker:
    made = MemoryBroker()
    made.create_topics(list(TOPICS))
    return made


@pytest.fixture
def observer(broker: MemoryBroker) -> Iterator[Observer]:
    made = Observer(broker, TOPICS, "g")
    yield made
    made.close()


def publish(broker: MemoryBroker, topic: str, *values: bytes) -> None:
    for value in values:
        broker.publisher("t").publish(Message(topic, b"k", value), lambda error: None)


def test_scores_events_and_lag_are_seen_although_some_messages_cannot_be_read(
    broker: MemoryBroker, observer: Observer
) -> None:
    publish(broker, TOPICS.frames.name, b"1", b"2")
    publish(broker, TOPICS.scores.name, b"no score", a_score(1).encode(), a_score(2).encode())
    publish(broker, TOPICS.camera_status.name, b"no status")
    publish(broker, TOPICS.model_events.name, b"no event", a_history(1).encode())
    eventually(lambda: len(observer.seen.scores) == 2 and observer.seen.model == a_history(1))
    eventually(lambda: observer.seen.lag == 2)
