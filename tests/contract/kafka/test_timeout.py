"""A transaction that the broker timed out is told from a second process with our name."""

import time
import uuid
from collections.abc import Iterator
from datetime import timedelta

import pytest
from typing_extensions import override

from steadyline.contracts.topics import line_topics
from steadyline.kafka.broker import Message, TransactionBroken
from steadyline.kafka.client.broker import KafkaBroker
from steadyline.kafka.client.worker import KafkaWorker
from steadyline.settings import KafkaSettings
from tests.support.broker_steps import committed, polled, publish, values
from tests.support.eventually import eventually

pytestmark = pytest.mark.servers

TIMEOUT = timedelta(seconds=1)
CLEANED_UP_WITHIN = 3.0  # the broker looks for old transactions once a second


class Slow(tuple[Message, ...]):
    """Messages of which all but the first come after the transaction's timeout."""

    @override
    def __iter__(self) -> Iterator[Message]:
        first, *rest = super().__iter__()
        yield first
        end = time.monotonic() + TIMEOUT.total_seconds() + CLEANED_UP_WITHIN
        eventually(lambda: time.monotonic() > end, within=10)
        yield from rest


def test_a_transaction_of_our_own_that_timed_out_is_begun_anew_and_no_reason_to_exit(kafka: str) -> None:
    settings, topics = KafkaSettings(bootstrap_servers=kafka), line_topics(f"t{uuid.uuid4().hex[:10]}", 1)
    broker = KafkaBroker(settings, "test")
    broker.create_topics(list(topics))
    publish(broker, Message(topics.frames.name, b"c", b"1"))
    worker = KafkaWorker(settings, f"g-{uuid.uuid4().hex}", "w", [topics.frames.name], TIMEOUT)
    (record,) = polled(worker, 1)
    worker.take_lost()
    outputs = [Message(topics.scores.name, b"c", value, (), 0) for value in (b"one", b"two")]
    assert committed(worker, [], {record.partition: 0})  # the group has settled
    with pytest.raises(TransactionBroken, match="timed out"):
        worker.commit(Slow(outputs), {record.partition: 1})
    worker.resync()
    (again,) = polled(worker, 1)
    assert again.offset == record.offset
    assert committed(worker, outputs, {record.partition: 1})
    worker.close()
    assert values(broker, topics.scores) == [b"one", b"two"]
    broker.close()
