"""What a test does to a broker: write and read a topic, poll a worker, commit."""

from datetime import timedelta

from steadyline.contracts.topics import Topic
from steadyline.kafka.broker import Broker, Message, Partition, Record, Worker
from tests.support.eventually import eventually

SHORT = timedelta(milliseconds=50)


def values(broker: Broker, topic: Topic) -> list[bytes | None]:
    """Return the values on a topic, in order per partition."""
    reader = broker.reader("test")
    found = [record.value for record in reader.read(topic.name)]
    reader.close()
    return found


def publish(broker: Broker, *messages: Message) -> None:
    """Write messages and wait for their acknowledgement."""
    publisher = broker.publisher("test")
    results: list[Exception | None] = []
    for message in messages:
        publisher.publish(message, results.append)
    assert publisher.flush(timedelta(seconds=20))
    publisher.close()
    assert results == [None] * len(messages)


def polled(worker: Worker, count: int) -> list[Record]:
    """Poll until at least ``count`` records have come, and return them."""
    records: list[Record] = []

    def enough() -> bool:
        for found in worker.poll(SHORT).values():
            records.extend(found)
        return len(records) >= count

    eventually(enough, within=20)
    return records


def committed(worker: Worker, messages: list[Message], offsets: dict[Partition, int]) -> bool:
    """Commit, polling while a rebalance is under way."""

    def attempt() -> bool:
        worker.poll(timedelta(milliseconds=5))
        return worker.commit(messages, offsets)

    return eventually(attempt, within=20)
