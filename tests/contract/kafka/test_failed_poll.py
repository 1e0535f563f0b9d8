"""A poll that fails after the client took records for it loses none of them.

kafka-python moves its positions, then asks for more, and only then returns: what it raises in between takes
the records along. A leader whose address it does not know any more is such a reason.
"""

import threading
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from kafka.errors import UnknownBrokerIdError

from steadyline.contracts.topics import line_topics
from steadyline.errors import BrokerUnavailable
from steadyline.kafka.broker import Message, Partition, Record
from steadyline.kafka.client.broker import KafkaBroker
from steadyline.kafka.client.follower import KafkaFollower
from steadyline.kafka.client.private_api import known_positions
from steadyline.kafka.client.worker import KafkaWorker
from steadyline.settings import KafkaSettings
from tests.support.broker_steps import publish
from tests.support.eventually import eventually

pytestmark = pytest.mark.servers

SHORT = timedelta(milliseconds=50)
BRIEF = timedelta(milliseconds=1)
Poll = Callable[[timedelta], list[Record]]


class OnePartitionTopic:
    """A topic of one partition to which three records at a time are written."""

    def __init__(self, kafka: str) -> None:
        self.settings = KafkaSettings(bootstrap_servers=kafka)
        self.broker = KafkaBroker(self.settings, "test")
        topic = line_topics(f"t{uuid.uuid4().hex[:10]}", 1).model_commands
        self.broker.create_topics([topic])
        self.place = Partition(topic.name, 0)

    def write(self) -> None:
        publish(self.broker, *(Message(self.place.topic, b"k", b"%d" % number) for number in range(3)))


@pytest.fixture
def topic(kafka: str) -> Iterator[OnePartitionTopic]:
    made = OnePartitionTopic(kafka)
    yield made
    made.broker.close()


def fail_once_after_taking(consumer: Any) -> threading.Event:
    """Let the client's next request for more fail that comes when it has taken records; set when it has."""
    fetcher, has_failed = consumer._fetcher, threading.Event()
    ask, before = fetcher.send_fetches, known_positions(consumer)

    def ask_or_fail() -> Any:
        if known_positions(consumer) != before and not has_failed.is_set():
            has_failed.set()
            raise UnknownBrokerIdError(1)
        return ask()

    fetcher.send_fetches = ask_or_fail
    return has_failed


def offsets(poll: Poll, count: int) -> list[int]:
    """Return the next offsets, at least ``count``; a poll that fails is repeated."""
    found: list[int] = []

    def enough() -> bool:
        try:
            found.extend(record.offset for record in poll(SHORT))
        except BrokerUnavailable:
            return False
        return len(found) >= count

    eventually(enough, 20, f"{count} records")
    return found


def read_over_a_failed_poll(topic: OnePartitionTopic, poll: Poll, consumer: Any) -> list[int]:
    """Return the offsets that are read after a first poll has taken them and failed."""
    has_failed = fail_once_after_taking(consumer)
    assert poll(BRIEF) == []  # its request stays with the broker
    topic.write()
    eventually(lambda: consumer._fetcher._completed_fetches, 20, "records before anybody asks for them")
    found = offsets(poll, 3)
    assert has_failed.is_set()
    return found


def test_a_follower_reads_on_from_what_it_has_returned(topic: OnePartitionTopic) -> None:
    follower = topic.broker.follower("test", [topic.place.topic])
    assert isinstance(follower, KafkaFollower)

    def poll(wait: timedelta) -> list[Record]:
        return list(follower.poll(wait))

    topic.write()
    assert offsets(poll, 3) == [0, 1, 2]
    assert read_over_a_failed_poll(topic, poll, follower._consumer) == [3, 4, 5]
    assert follower.positions() == {topic.place: 6}
    follower.close()


def test_a_worker_reads_on_from_what_it_has_returned(topic: OnePartitionTopic) -> None:
    worker = KafkaWorker(topic.settings, f"g-{uuid.uuid4().hex}", "w1", [topic.place.topic])

    def poll(wait: timedelta) -> list[Record]:
        records = worker.poll(wait).get(topic.place, [])
        worker.take_lost()
        return list(records)

    topic.write()
    assert offsets(poll, 3) == [0, 1, 2]
    assert read_over_a_failed_poll(topic, poll, worker._consumer) == [3, 4, 5]
    worker.close()
