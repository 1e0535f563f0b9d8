"""A committed offset that was asked for long ago is not where a partition goes on."""

import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import pytest
from kafka import TopicPartition
from kafka.errors import KafkaTimeoutError

from steadyline.contracts.topics import Topics, line_topics
from steadyline.kafka.broker import Message, Partition, Record
from steadyline.kafka.client.broker import KafkaBroker
from steadyline.kafka.client.worker import KafkaWorker
from steadyline.settings import KafkaSettings
from tests.support.broker_steps import committed, polled, publish
from tests.support.eventually import eventually

pytestmark = pytest.mark.servers

SHORT = timedelta(milliseconds=50)


class TwoPartitionTopic:
    """A topic of two partitions with six records each, and the members of a group."""

    def __init__(self, kafka: str) -> None:
        self._settings, self._group = KafkaSettings(bootstrap_servers=kafka), f"g-{uuid.uuid4().hex}"
        self.topics: Topics = line_topics(f"t{uuid.uuid4().hex[:10]}", 2)
        self.broker = KafkaBroker(self._settings, "test")
        self.broker.create_topics(list(self.topics))
        self.places = [Partition(self.topics.frames.name, number) for number in range(2)]
        for place in self.places:
            self.publish(place, *(b"%d" % number for number in range(6)))

    def publish(self, place: Partition, *values: bytes) -> None:
        publish(self.broker, *(Message(place.topic, b"c", value, (), place.number) for value in values))

    def member(self, name: str) -> KafkaWorker:
        return KafkaWorker(self._settings, self._group, name, [self.topics.frames.name])


@pytest.fixture
def bench(kafka: str) -> Iterator[TwoPartitionTopic]:
    with ExitStack() as stack:
        made = TwoPartitionTopic(kafka)
        stack.callback(made.broker.close)
        yield made


def give_up_asking(worker: KafkaWorker, place: Partition) -> None:
    """Ask for a committed offset and do not wait for the answer, as a short poll does."""
    consumer: Any = worker._consumer

    def given_up() -> bool:
        try:
            consumer.committed(TopicPartition(place.topic, place.number), timeout_ms=1)
        except KafkaTimeoutError:
            return True
        return False

    eventually(given_up, 20)


def test_a_partition_that_comes_back_goes_on_from_what_is_committed_now(bench: TwoPartitionTopic) -> None:
    first = bench.member("w1")
    polled(first, 12)
    first.take_lost()
    assert committed(first, [], dict.fromkeys(bench.places, 1))
    for place in bench.places:
        give_up_asking(first, place)
    assert committed(first, [], dict.fromkeys(bench.places, 6))

    second = bench.member("w2")
    moved: set[Partition] = set()

    def has_moved() -> bool:
        second.poll(SHORT)
        first.poll(SHORT)
        moved.update(first.take_lost())
        return bool(moved)

    eventually(has_moved, 20)
    second.close()
    for place in bench.places:
        bench.publish(place, b"new")
    found: list[Record] = []

    def has_all() -> bool:
        # Shorter than a fetch: the position is found in one poll, the records come in another.
        for records in first.poll(timedelta(milliseconds=1)).values():
            found.extend(records)
        return {record.partition for record in found if record.value == b"new"} == set(bench.places)

    eventually(has_all, 20)
    assert [(record.offset, record.value) for record in found] == [(6, b"new")] * 2
    first.close()


def test_after_an_unknown_outcome_it_goes_on_from_what_is_committed_now(bench: TwoPartitionTopic) -> None:
    worker = bench.member("w1")
    polled(worker, 12)
    worker.take_lost()
    assert committed(worker, [], dict.fromkeys(bench.places, 1))
    for place in bench.places:
        give_up_asking(worker, place)
    assert committed(worker, [], dict.fromkeys(bench.places, 5))
    worker.resync()
    assert [record.offset for record in polled(worker, 2)] == [5, 5]
    worker.close()
