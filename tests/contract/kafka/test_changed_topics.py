"""A topic that changes below its readers: cut by retention, made anew, with more partitions."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, OffsetAndMetadata, TopicPartition
from structlog.testing import capture_logs

from steadyline.contracts.topics import Topic, Topics, line_topics
from steadyline.errors import ContractBroken
from steadyline.kafka.broker import Broker, Message, Partition, Worker
from steadyline.kafka.client.broker import KafkaBroker
from steadyline.kafka.memory.broker import MemoryBroker
from steadyline.settings import KafkaSettings
from tests.support.broker_steps import SHORT, committed, polled, publish
from tests.support.eventually import eventually


def fill(broker: Broker, topic: Topic, count: int, partition: int = 0) -> None:
    publish(broker, *(Message(topic.name, b"c", b"%d" % n, (), partition) for n in range(count)))


def ends(poll: Callable[[timedelta], object]) -> str:
    """Poll until the reader ends, and return what it says."""
    said: list[str] = []

    def ended() -> bool:
        try:
            poll(SHORT)
        except ContractBroken as error:
            said.append(str(error))
        return bool(said)

    eventually(ended, within=40)
    return said[0]


class ChangedTopicContract:
    """Inherited by the twin and by the real thing."""

    @pytest.fixture
    def topics(self, broker: Broker) -> Topics:
        topics = line_topics(f"t{uuid.uuid4().hex[:10]}", 2)
        broker.create_topics(list(topics))
        return topics

    @pytest.fixture
    def worker(self, broker: Broker, topics: Topics) -> Iterator[Worker]:
        with closing(broker.worker(f"g-{uuid.uuid4().hex}", "w1", [topics.frames.name])) as made:
            yield made

    def test_a_worker_overtaken_by_retention_goes_on_at_what_is_kept_and_says_so(
        self, broker: Broker, topics: Topics, expire: Callable[[Partition, int], None]
    ) -> None:
        group, place = f"g-{uuid.uuid4().hex}", Partition(topics.frames.name, 0)
        fill(broker, topics.frames, 3)
        with closing(broker.worker(group, "w1", [topics.frames.name])) as first:
            polled(first, 3)
            assert committed(first, [], {place: 1})
        fill(broker, topics.frames, 5)
        expire(place, 6)
        with closing(broker.worker(group, "w1", [topics.frames.name])) as second:
            assert [record.offset for record in polled(second, 2)] == [6, 7]

    def test_a_topic_made_anew_ends_who_reads_it(
        self, broker: Broker, topics: Topics, worker: Worker, remake: Callable[[Topic], None]
    ) -> None:
        fill(broker, topics.frames, 3)
        fill(broker, topics.model_events, 3)
        polled(worker, 3)
        with closing(broker.follower("test", [topics.model_events.name])) as follower:
            eventually(lambda: len(follower.poll(SHORT)) == 3, within=20)
            for topic in (topics.frames, topics.model_events):
                remake(topic)
                fill(broker, topic, 5)
            assert f"{topics.frames.name} was deleted and made anew" in ends(worker.poll)
            assert f"{topics.model_events.name} was deleted and made anew" in ends(follower.poll)

    def test_a_topic_made_anew_is_read_from_its_beginning_by_the_next_worker(
        self, broker: Broker, topics: Topics, remake: Callable[[Topic], None]
    ) -> None:
        group, place = f"g-{uuid.uuid4().hex}", Partition(topics.frames.name, 0)
        fill(broker, topics.frames, 3)
        with closing(broker.worker(group, "w1", [topics.frames.name])) as first:
            polled(first, 3)
            assert committed(first, [], {place: 3})
        remake(topics.frames)
        fill(broker, topics.frames, 5)
        with closing(broker.worker(group, "w1", [topics.frames.name])) as second:
            assert [record.offset for record in polled(second, 5)] == [0, 1, 2, 3, 4]

    def test_more_partitions_end_a_worker_and_say_what_to_do(
        self, broker: Broker, topics: Topics, worker: Worker
    ) -> None:
        fill(broker, topics.frames, 1)
        polled(worker, 1)
        grown = replace(topics.frames, partitions=3)
        assert broker.mend_topics([grown]) == [topics.frames.name]
        assert "has 3 partitions and had 2" in ends(worker.poll)
        assert broker.describe_topics([topics.frames.name])[topics.frames.name][0] == 3
        assert broker.mend_topics([grown]) == []

    def test_a_follower_reads_partitions_that_are_added(self, broker: Broker, topics: Topics) -> None:
        with closing(broker.follower("test", [topics.scores.name])) as follower:
            fill(broker, topics.scores, 2)
            found: list[tuple[int, int]] = []

            def has(count: int) -> bool:
                found.extend((item.partition.number, item.offset) for item in follower.poll(SHORT))
                return len(found) >= count

            eventually(lambda: has(2), within=20)
            broker.mend_topics([replace(topics.scores, partitions=4)])
            fill(broker, topics.scores, 2, 3)
            fill(broker, topics.scores, 1)
            eventually(lambda: has(5), within=40)
            assert sorted(found) == [(0, 0), (0, 1), (0, 2), (3, 0), (3, 1)]
            assert follower.positions()[Partition(topics.scores.name, 3)] == 2

    def test_settings_of_a_topic_are_mended(self, broker: Broker, topics: Topics) -> None:
        loose = replace(topics.frames, name=f"{topics.frames.name}.loose", retention_ms=1_000_000)
        broker.create_topics([loose])
        assert broker.mend_topics([replace(loose, retention_ms=2_000_000)]) == [loose.name]
        assert broker.describe_topics([loose.name])[loose.name][1]["retention.ms"] == "2000000"

    def test_what_was_mended_is_told_of_at_once(self, broker: Broker, topics: Topics) -> None:
        for partitions in (4, 6, 8):  # a broker that tells of it later is not late each time
            grown = [
                replace(topic, partitions=partitions, retention_ms=1_000_000 * partitions)
                for topic in (topics.frames, topics.scores, topics.dead_letters)
            ]
            assert broker.mend_topics(grown) == [topic.name for topic in grown]
            found = broker.describe_topics([topic.name for topic in grown])
            assert [found[topic.name][0] for topic in grown] == [partitions] * 3
            assert {found[topic.name][1]["retention.ms"] for topic in grown} == {
                grown[0].config["retention.ms"]
            }

    def test_a_note_beside_an_offset_is_kept_for_the_next_worker(
        self, broker: Broker, topics: Topics, worker: Worker
    ) -> None:
        group, place = f"g-{uuid.uuid4().hex}", Partition(topics.frames.name, 0)
        fill(broker, topics.frames, 3)
        with closing(broker.worker(group, "w1", [topics.frames.name])) as first:
            polled(first, 3)
            assert first.note(place) == ""
            assert first.members() == {first.member}
            eventually(
                lambda: first.poll(SHORT) is not None and first.mark(place, 1, "half a note"), within=20
            )
            assert broker.committed_offsets(group)[place] == 1
        with closing(broker.worker(group, "w2", [topics.frames.name])) as second:
            polled(second, 2)
            assert second.note(place) == "half a note"
            eventually(
                lambda: second.poll(SHORT) is not None and second.commit([], {place: 2}, {place: "two"}), 20
            )
        with closing(broker.worker(group, "w3", [topics.frames.name])) as third:
            polled(third, 1)
            assert third.note(place) == "two"
            assert not third.mark(Partition(topics.scores.name, 0), 1, "of a topic it does not read")


class TestChangedTopicInMemory(ChangedTopicContract):
    @pytest.fixture
    def broker(self) -> MemoryBroker:
        return MemoryBroker()

    @pytest.fixture
    def expire(self, broker: MemoryBroker) -> Callable[[Partition, int], None]:
        return broker.expire

    @pytest.fixture
    def remake(self, broker: MemoryBroker) -> Callable[[Topic], None]:
        def remake(topic: Topic) -> None:
            broker.delete_topic(topic.name)
            broker.create_topics([topic])

        return remake


@pytest.mark.servers
class TestChangedTopicOnKafka(ChangedTopicContract):
    @pytest.fixture
    def broker(self, kafka: str) -> Iterator[Broker]:
        with closing(KafkaBroker(KafkaSettings(bootstrap_servers=kafka), "test")) as made:
            yield made

    @pytest.fixture
    def admin(self, kafka: str) -> Iterator[KafkaAdminClient]:
        with closing(KafkaAdminClient(bootstrap_servers=kafka)) as made:
            yield made

    @pytest.fixture
    def expire(self, admin: KafkaAdminClient) -> Callable[[Partition, int], None]:
        def expire(place: Partition, count: int) -> None:
            admin.delete_records({TopicPartition(place.topic, place.number): count})

        return expire

    @pytest.fixture
    def remake(self, admin: KafkaAdminClient, broker: Broker) -> Callable[[Topic], None]:
        def remake(topic: Topic) -> None:
            before = broker.topic_ids([topic.name])
            admin.delete_topics([topic.name])
            eventually(lambda: broker.create_topics([topic]) == [topic.name], within=20)
            assert broker.topic_ids([topic.name]) != before

        return remake

    def test_offsets_of_a_former_topic_are_not_used(self, broker: Broker, topics: Topics, kafka: str) -> None:
        group, tp = f"g-{uuid.uuid4().hex}", TopicPartition(topics.frames.name, 0)
        fill(broker, topics.frames, 5)
        with closing(KafkaConsumer(bootstrap_servers=kafka, group_id=group)) as consumer:
            consumer.assign([tp])
            consumer.commit({tp: OffsetAndMetadata(3, "AAAAAAAAAAAAAAAAAAAAAA a note", -1)})
        with closing(broker.worker(group, "w1", [topics.frames.name])) as worker, capture_logs() as logs:
            assert [record.offset for record in polled(worker, 5)] == [0, 1, 2, 3, 4]
            assert worker.note(Partition(tp.topic, 0)) == ""
        assert [entry["begin"] for entry in logs if entry["event"] == "position_lost"] == [3]

    def test_what_is_skipped_is_logged_with_its_offsets(
        self, broker: Broker, topics: Topics, expire: Callable[[Partition, int], None]
    ) -> None:
        place = Partition(topics.model_commands.name, 0)
        fill(broker, topics.model_commands, 8)
        expire(place, 6)
        with closing(broker.follower("test", [place.topic], {place: 2})) as follower, capture_logs() as logs:
            eventually(lambda: len(follower.poll(SHORT)) == 2, within=20)
        (said,) = [entry for entry in logs if entry["event"] == "position_lost"]
        assert (said["begin"], said["end"], said["skipped"], said["log_level"]) == (2, 6, 4, "error")

    def test_a_partition_that_the_output_lacks_is_no_bug(self, broker: Broker, topics: Topics) -> None:
        fill(broker, topics.frames, 1)
        with closing(broker.worker(f"g-{uuid.uuid4().hex}", "w1", [topics.frames.name])) as worker:
            (record,) = polled(worker, 1)
            output = Message(topics.scores.name, b"c", b"one", (), 5)
            with pytest.raises(ContractBroken, match="topics create --mend"):
                committed(worker, [output], {record.partition: 1})

    def test_a_foreign_open_transaction_is_said(self, broker: Broker, topics: Topics, kafka: str) -> None:
        producer: Any = KafkaProducer(bootstrap_servers=kafka, transactional_id=f"foreign-{uuid.uuid4().hex}")
        producer.init_transactions()
        producer.begin_transaction()
        producer.send(topics.model_events.name, key=b"k", value=b"never committed").get(10)
        fill(broker, topics.model_events, 3)
        with closing(broker.follower("test", [topics.model_events.name])) as follower, capture_logs() as logs:

            def is_said() -> bool:
                assert follower.poll(SHORT) == []
                return any(entry["event"] == "held_by_open_transaction" for entry in logs)

            eventually(is_said, within=60)
            producer.abort_transaction()
            eventually(lambda: len(follower.poll(SHORT)) == 3, within=20)
        producer.close()

    def test_offsets_that_a_foreign_transaction_holds_are_said(
        self, broker: Broker, topics: Topics, kafka: str
    ) -> None:
        group, frames = uuid.uuid4().hex, topics.frames.name
        producer: Any = KafkaProducer(bootstrap_servers=kafka, transactional_id=f"foreign-{group}")
        producer.init_transactions()
        producer.begin_transaction()
        producer.send_offsets_to_transaction({TopicPartition(frames, 0): OffsetAndMetadata(0, "", -1)}, group)
        fill(broker, topics.frames, 3)
        with closing(broker.worker(group, "w", [frames])) as worker:

            def is_said() -> bool:
                worker.poll(SHORT)
                return worker.trouble is not None and "find-hanging" in str(worker.trouble)

            eventually(is_said, within=90)
            producer.abort_transaction()

            def is_over() -> bool:
                worker.poll(SHORT)
                return worker.trouble is None

            eventually(is_over, within=30)
        producer.close()
