"""kafka-python's private parts are as ``private_api`` takes them, and its defects are still there.

Each of the latter tests shows what goes wrong without the function: where one fails, a new version may have
mended it, and the function can go.
"""

import inspect
import uuid
from collections.abc import Iterator
from contextlib import closing
from importlib.metadata import version
from typing import Any

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.consumer.fetcher import Fetcher
from kafka.consumer.subscription_state import SubscriptionState
from kafka.coordinator.base import BaseCoordinator
from kafka.errors import CorruptRecordError, KafkaConnectionError, KafkaError, ProducerFencedError
from kafka.producer.transaction_manager import TransactionManager
from kafka.record import MemoryRecords

from steadyline.contracts.topics import line_topics
from steadyline.kafka.broker import Message
from steadyline.kafka.client.broker import KafkaBroker
from steadyline.kafka.client.private_api import (
    HeldJoins,
    force_close,
    forget_committed_answers,
    known_partitions,
    known_positions,
    last_error,
)
from steadyline.settings import KafkaSettings
from tests.support.broker_steps import publish
from tests.support.eventually import eventually
from tests.support.raw_batches import RawRecord, raw_batch

PINNED = "3.0.12"


@pytest.fixture
def topic(kafka: str) -> Iterator[str]:
    """A topic of one partition with two records."""
    with closing(KafkaBroker(KafkaSettings(bootstrap_servers=kafka), "test")) as broker:
        made = line_topics(f"t{uuid.uuid4().hex[:10]}", 1).model_commands
        broker.create_topics([made])
        publish(broker, Message(made.name, b"k", b"1"), Message(made.name, b"k", b"2"))
        yield made.name


@pytest.fixture
def consumer(kafka: str, topic: str) -> Iterator[KafkaConsumer]:
    """A consumer at the beginning of the topic, in a group of its own."""
    made = KafkaConsumer(bootstrap_servers=kafka, group_id=f"g-{uuid.uuid4().hex}", enable_auto_commit=False)
    made.assign([TopicPartition(topic, 0)])
    made.seek_to_beginning()
    yield made
    made.close(autocommit=False)


def test_a_record_that_the_client_cannot_read_is_never_left_again() -> None:
    batch = raw_batch(RawRecord(headers=[(b"\xff", b"")]))
    part: Any = Fetcher.PartitionRecords(0, TopicPartition("t", 0), MemoryRecords(batch))
    with pytest.raises(CorruptRecordError):
        part.take(10)
    assert part.take(10) == []
    assert part  # so that the poll, which goes on as long as there is more, does not return


def test_the_version_is_the_one_whose_private_parts_were_read() -> None:
    assert version("kafka-python") == PINNED, "look at each function of private_api.py again"


@pytest.mark.servers
def test_a_position_that_the_client_knows_is_told_without_asking(consumer: KafkaConsumer, topic: str) -> None:
    place = TopicPartition(topic, 0)
    eventually(lambda: consumer.poll(timeout_ms=100))
    assert known_positions(consumer) == {place: 2}
    fetcher: Any = consumer
    fetcher._fetcher._cached_list_offsets_exception = KafkaConnectionError("of another partition")
    assert known_positions(consumer) == {place: 2}
    with pytest.raises(KafkaConnectionError, match="of another partition"):
        consumer.position(place)


@pytest.mark.servers
def test_partitions_that_the_client_knows_are_told_without_asking(
    consumer: KafkaConsumer, topic: str
) -> None:
    eventually(lambda: consumer.poll(timeout_ms=100))
    metadata: Any = consumer
    before = metadata._cluster._last_successful_refresh_ms
    assert known_partitions(consumer, topic) == {0}
    assert known_partitions(consumer, "nowhere") == set()
    assert metadata._cluster._last_successful_refresh_ms == before
    assert consumer.partitions_for_topic("nowhere") == set()
    assert metadata._cluster._last_successful_refresh_ms > before, "the client's own way asks the broker"


def test_positions_are_kept_where_they_are_looked_for() -> None:
    state: Any = SubscriptionState("earliest")
    place = TopicPartition("t", 0)
    state.assign_from_user([place, TopicPartition("t", 1)])
    state.seek(place, 5)
    assert {tp: position.offset for tp, position in state.all_consumed_offsets().items()} == {place: 5}


@pytest.mark.servers
def test_a_question_that_was_given_up_is_kept_until_it_is_forgotten(
    consumer: KafkaConsumer, topic: str
) -> None:
    coordinator: Any = consumer
    kept = coordinator._coordinator._offset_fetch_futures

    def is_kept() -> bool:
        try:
            consumer.committed(TopicPartition(topic, 0), timeout_ms=1)
        except KafkaError:
            return bool(kept)
        return False

    eventually(is_kept, 20, "a question that was given up")
    forget_committed_answers(consumer)
    assert kept == {}


@pytest.mark.servers
def test_a_join_is_held_by_what_the_client_calls_for_it(kafka: str, topic: str) -> None:
    joining = inspect.getsource(BaseCoordinator.join_group_async)
    assert "call_soon(self._do_join_and_sync_async)" in joining
    consumer = KafkaConsumer(bootstrap_servers=kafka, group_id=f"g-{uuid.uuid4().hex}")
    of_group: Any = consumer
    coordinator = of_group._coordinator
    joins = HeldJoins(consumer)
    consumer.subscribe([topic])

    def is_answered() -> bool:
        consumer.poll(timeout_ms=1)
        return bool(coordinator._generation.generation_id > 0)

    eventually(is_answered, 20, "an answer to its join")
    started = coordinator._join_task
    assert not started.is_done, "it ended although nobody waited"
    assert coordinator.need_rejoin()
    joins.release()
    eventually(lambda: started.is_done, 20, "the join ends")
    consumer.close(autocommit=False)


@pytest.mark.servers
def test_a_producer_with_a_stuck_batch_is_ended_at_once(kafka: str, topic: str) -> None:
    producer = KafkaProducer(bootstrap_servers=kafka, linger_ms=600_000, delivery_timeout_ms=700_000)
    of_thread: Any = producer
    sender = of_thread._sender
    future = producer.send(topic, b"3")
    force_close(producer)
    eventually(lambda: not sender.is_alive(), 10, "its thread ends")
    assert future.failed()
    assert of_thread._cleanup is None
    producer.close()  # does nothing any more


def test_a_failed_transaction_hides_its_cause_from_the_next_call() -> None:
    manager: Any = TransactionManager(transactional_id="t")
    manager.initialize_transactions()
    cause = ProducerFencedError("another one")
    manager.transition_to_fatal_error(cause)
    with pytest.raises(KafkaError) as raised:
        manager.begin_transaction()
    assert type(raised.value) is KafkaError
    assert manager.last_error is cause


@pytest.mark.servers
def test_the_cause_of_a_failed_transaction_is_found(kafka: str, topic: str) -> None:
    name = f"x-{uuid.uuid4().hex}"
    first, second = (KafkaProducer(bootstrap_servers=kafka, transactional_id=name) for _ in range(2))
    first.init_transactions()
    assert last_error(first) is None
    second.init_transactions()
    first.begin_transaction()
    _ = first.send(topic, b"late")
    eventually(lambda: isinstance(last_error(first), ProducerFencedError), 20, "it is fenced")
    with pytest.raises(KafkaError) as raised:
        first.commit_transaction()
    assert type(raised.value) is KafkaError
    for producer in (first, second):
        force_close(producer)
