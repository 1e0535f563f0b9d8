"""What every broker holds, on the in-memory twin and on Apache Kafka."""

import re
import threading
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from steadyline.clock import SystemClock
from steadyline.contracts.topics import Topics, line_topics
from steadyline.errors import ContractBroken, Fenced, PictureTooLarge
from steadyline.kafka.broker import Broker, Message, Partition
from steadyline.kafka.client.broker import KafkaBroker
from steadyline.kafka.loop.refused_records import DeadLetterPolicy
from steadyline.kafka.loop.stream_loop import LoopPolicy, StreamLoop
from steadyline.kafka.memory.broker import MemoryBroker
from steadyline.settings import KafkaSettings
from tests.support.broker_steps import SHORT, committed, polled, publish, values
from tests.support.eventually import eventually
from tests.support.handlers import Inflating, Prompt


class BrokerContract:
    """Inherited by the twin and by the real thing."""

    @pytest.fixture
    def topics(self) -> Topics:
        return line_topics(f"t{uuid.uuid4().hex[:10]}", 2)

    def test_topics_are_created_once(self, broker: Broker, topics: Topics) -> None:
        assert len(broker.create_topics(list(topics))) == len(list(topics))
        assert broker.create_topics(list(topics)) == []
        count, config = broker.describe_topics([topics.frames.name])[topics.frames.name]
        assert count == 2
        assert config["max.message.bytes"] == str(topics.frames.max_message_bytes)
        assert broker.describe_topics(["nowhere"]) == {}

    def test_a_topic_has_an_id_of_its_own(self, broker: Broker, topics: Topics) -> None:
        names = [topic.name for topic in topics]
        broker.create_topics(list(topics))
        ids = broker.topic_ids([*names, "nowhere"])
        assert list(ids) == names
        assert len(set(ids.values())) == len(names)
        assert all(re.fullmatch(r"[A-Za-z0-9_-]{22}", found) for found in ids.values())
        assert broker.topic_ids(names) == ids
        assert broker.topic_ids(["nowhere"]) == {}

    def test_a_broker_tells_its_release_and_how_often_it_keeps_a_topic(
        self, broker: Broker, topics: Topics
    ) -> None:
        broker.create_topics(list(topics))
        assert broker.version()[:2] == (4, 2)
        assert broker.replicas([topics.frames.name, "nowhere"]) == {topics.frames.name: 1}

    def test_what_is_published_is_read_in_order(self, broker: Broker, topics: Topics) -> None:
        broker.create_topics(list(topics))
        publish(broker, *(Message(topics.frames.name, b"c", b"%d" % n) for n in range(20)))
        assert values(broker, topics.frames) == [b"%d" % n for n in range(20)]
        assert sum(broker.end_offsets([topics.frames.name]).values()) == 20

    def test_headers_and_keys_arrive_as_they_were_sent(self, broker: Broker, topics: Topics) -> None:
        broker.create_topics(list(topics))
        publish(broker, Message(topics.frames.name, b"c", b"v", (("a", b"1"), ("a", b"2"))))
        reader = broker.reader("test")
        (record,) = reader.read(topics.frames.name)
        reader.close()
        assert (record.key, record.value, record.headers) == (b"c", b"v", (("a", b"1"), ("a", b"2")))

    def test_reading_can_begin_at_a_moment(self, broker: Broker, topics: Topics) -> None:
        broker.create_topics(list(topics))
        publish(broker, Message(topics.frames.name, b"c", b"old"))
        reader = broker.reader("test")
        later = datetime.now(UTC) + timedelta(minutes=1)
        assert list(reader.read(topics.frames.name, later)) == []
        assert len(list(reader.read(topics.frames.name, later - timedelta(minutes=2)))) == 1
        reader.close()

    def test_reading_can_end_at_a_moment(self, broker: Broker, topics: Topics) -> None:
        broker.create_topics([topics.frames])
        name, key = topics.frames.name, b"c1"
        publish(broker, Message(name, key, b"before"))
        moment = datetime.now(UTC) + timedelta(milliseconds=20)
        eventually(lambda: datetime.now(UTC) > moment + timedelta(milliseconds=20))
        publish(broker, Message(name, key, b"after"))
        reader = broker.reader("test")
        early, late = moment - timedelta(hours=1), moment + timedelta(hours=1)
        assert [record.value for record in reader.read(name, until=moment)] == [b"before"]
        assert [record.value for record in reader.read(name, since=early, until=moment)] == [b"before"]
        assert [record.value for record in reader.read(name, since=moment, until=late)] == [b"after"]
        assert list(reader.read(name, since=moment, until=moment)) == []
        assert list(reader.read(name, until=early)) == []
        reader.close()

    def test_outputs_and_offsets_are_committed_together(self, broker: Broker, topics: Topics) -> None:
        broker.create_topics(list(topics))
        publish(broker, Message(topics.frames.name, b"c", b"1"))
        group = f"g-{uuid.uuid4().hex}"
        worker = broker.worker(group, "w1", [topics.frames.name])
        (record,) = polled(worker, 1)
        output = Message(topics.scores.name, b"c", b"one", (), record.partition.number)
        assert committed(worker, [output], {record.partition: 1})
        worker.close()
        assert values(broker, topics.scores) == [b"one"]
        assert broker.committed_offsets(group)[record.partition] == 1

    def test_what_was_not_committed_is_read_again(self, broker: Broker, topics: Topics) -> None:
        broker.create_topics(list(topics))
        publish(broker, Message(topics.frames.name, b"c", b"1"))
        group = f"g-{uuid.uuid4().hex}"
        first = broker.worker(group, "w1", [topics.frames.name])
        polled(first, 1)
        first.close()
        second = broker.worker(group, "w2", [topics.frames.name])
        assert [record.value for record in polled(second, 1)] == [b"1"]
        second.close()

    def test_reading_can_begin_at_an_offset(self, broker: Broker, topics: Topics) -> None:
        broker.create_topics(list(topics))
        publish(broker, *(Message(topics.frames.name, b"c", b"%d" % n, (), 1) for n in range(5)))
        publish(broker, Message(topics.frames.name, b"c", b"other", (), 0))
        reader = broker.reader("test")
        start = {Partition(topics.frames.name, 1): 3, Partition(topics.scores.name, 0): 7}
        found = [record.value for record in reader.read(topics.frames.name, start=start)]
        reader.close()
        assert sorted(filter(None, found)) == [b"3", b"4", b"other"]

    def test_offsets_begin_at_nought_and_a_missing_topic_is_named(
        self, broker: Broker, topics: Topics
    ) -> None:
        broker.create_topics(list(topics))
        assert set(broker.start_offsets([topics.frames.name]).values()) == {0}
        with pytest.raises(ContractBroken, match="nowhere"):
            broker.end_offsets(["nowhere"])
        with pytest.raises(ContractBroken, match="nowhere"):
            list(broker.reader("test").read("nowhere"))

    def test_a_group_that_never_committed_has_no_offsets(self, broker: Broker, topics: Topics) -> None:
        assert broker.committed_offsets(f"g-{uuid.uuid4().hex}") == {}

    def test_partitions_move_when_a_member_joins_and_come_back_when_it_leaves(
        self, broker: Broker, topics: Topics
    ) -> None:
        broker.create_topics(list(topics))
        group = f"g-{uuid.uuid4().hex}"
        first = broker.worker(group, "w1", [topics.frames.name])
        publish(broker, *(Message(topics.frames.name, b"c", b"%d" % n, (), n) for n in range(2)))
        polled(first, 2)
        first.take_lost()
        second = broker.worker(group, "w2", [topics.frames.name])
        taken: dict[str, set[Partition]] = {"w1": set(), "w2": set()}

        def moved() -> bool:
            first.poll(SHORT)
            second.poll(SHORT)
            taken["w1"] |= first.take_lost()
            taken["w2"] |= second.take_lost()
            return bool(taken["w1"]) and bool(taken["w2"])

        eventually(moved, within=20)
        assert taken["w1"] == taken["w2"]
        (moving,) = taken["w1"]
        assert moving in second.assigned
        assert moving not in first.assigned
        assert not first.commit([], {moving: 1})
        second.close()
        back: set[Partition] = set()

        def returned() -> bool:
            first.poll(SHORT)
            back.update(first.take_lost())
            return moving in back

        eventually(returned, within=20)
        assert first.assigned >= {moving}
        first.close()

    def test_a_member_that_takes_the_name_of_another_ends_it(self, broker: Broker, topics: Topics) -> None:
        broker.create_topics(list(topics))
        publish(broker, Message(topics.frames.name, b"c", b"1"))
        group = f"g-{uuid.uuid4().hex}"
        first = broker.worker(group, "w1", [topics.frames.name])
        (record,) = polled(first, 1)
        second = broker.worker(group, "w1", [topics.frames.name])
        second.poll(SHORT)
        output = Message(topics.scores.name, b"c", b"late", (), 0)

        def ended() -> bool:
            try:
                first.poll(SHORT)
                first.commit([output], {record.partition: 1})
            except Fenced:
                return True
            return False

        eventually(ended, within=20)
        first.close()
        second.close()
        assert values(broker, topics.scores) == []

    def test_resync_delivers_again_from_the_committed_offset(self, broker: Broker, topics: Topics) -> None:
        broker.create_topics(list(topics))
        publish(broker, *(Message(topics.frames.name, b"c", b"%d" % n, (), 1) for n in range(4)))
        worker = broker.worker(f"g-{uuid.uuid4().hex}", "w1", [topics.frames.name])
        records = polled(worker, 4)
        assert committed(worker, [], {records[0].partition: 2})
        worker.resync()
        assert [record.value for record in polled(worker, 2)] == [b"2", b"3"]
        worker.close()

    def test_a_paused_partition_is_silent_until_it_is_resumed(self, broker: Broker, topics: Topics) -> None:
        broker.create_topics(list(topics))
        publish(broker, *(Message(topics.frames.name, b"c", b"%d" % n, (), n) for n in range(2)))
        worker = broker.worker(f"g-{uuid.uuid4().hex}", "w1", [topics.frames.name])
        polled(worker, 2)
        quiet, loud = (Partition(topics.frames.name, number) for number in range(2))
        worker.pause(quiet)
        publish(broker, *(Message(topics.frames.name, b"c", b"next", (), n) for n in range(2)))
        assert [record.partition for record in polled(worker, 1)] == [loud]
        assert worker.poll(SHORT) == {}
        worker.resume(quiet)
        assert [record.partition for record in polled(worker, 1)] == [quiet]
        worker.close()

    def test_large_records_come_in_parts(self, broker: Broker, topics: Topics) -> None:
        broker.create_topics(list(topics))
        publish(broker, *(Message(topics.frames.name, b"c", bytes(700_000), (), 0) for _ in range(6)))
        worker = broker.worker(f"g-{uuid.uuid4().hex}", "w1", [topics.frames.name])
        follower = broker.follower("test", [topics.frames.name])
        counts: dict[str, list[int]] = {"worker": [], "follower": []}

        def are_read() -> bool:
            counts["worker"].append(sum(len(records) for records in worker.poll(SHORT).values()))
            counts["follower"].append(len(follower.poll(SHORT)))
            return all(sum(found) == 6 for found in counts.values())

        eventually(are_read, within=20)
        worker.close()
        follower.close()
        assert all(max(found) <= 2 for found in counts.values())

    def test_times_are_the_brokers(self, broker: Broker, topics: Topics) -> None:
        broker.create_topics(list(topics))
        _, config = broker.describe_topics([topics.frames.name])[topics.frames.name]
        assert config["message.timestamp.type"] == "LogAppendTime"

    def test_a_message_over_the_limit_is_no_outage(self, broker: Broker, topics: Topics) -> None:
        broker.create_topics(list(topics))
        publisher = broker.publisher("test")
        results: list[Exception | None] = []
        too_large = Message(topics.scores.name, b"c", bytes(topics.scores.max_message_bytes + 1))
        publisher.publish(too_large, results.append)
        assert publisher.flush(timedelta(seconds=20))
        with pytest.raises(PictureTooLarge):
            publisher.publish(Message(topics.frames.name, b"c", bytes(9 << 20)), results.append)
        publisher.close()
        assert [type(result) for result in results] == [PictureTooLarge]

    def test_the_loop_writes_each_input_once_and_dead_letters_poison(
        self, broker: Broker, topics: Topics
    ) -> None:
        broker.create_topics(list(topics))
        inputs = [b"bad" if n % 7 == 3 else b"v%d" % n for n in range(50)]
        publish(broker, *(Message(topics.frames.name, b"c", value) for value in inputs))
        worker = broker.worker(f"g-{uuid.uuid4().hex}", "w1", [topics.frames.name])
        handler = Prompt(topics.scores.name)
        policy = LoopPolicy(DeadLetterPolicy(topics.dead_letters.name))
        loop = StreamLoop(worker, handler, policy, SystemClock())
        stop = threading.Event()
        thread = threading.Thread(target=loop.run, args=(stop,))
        thread.start()
        good = [value.upper() for value in inputs if value != b"bad"]
        eventually(lambda: len(values(broker, topics.scores)) >= len(good), within=30)
        stop.set()
        thread.join(20)
        worker.close()
        assert values(broker, topics.scores) == good
        assert values(broker, topics.dead_letters) == [b"bad"] * inputs.count(b"bad")

    @pytest.mark.parametrize("size", [(1 << 20) + 1, 12 << 20], ids=["of the topic", "of the client"])
    def test_an_output_over_a_limit_is_the_poison_of_its_input_alone(
        self, broker: Broker, topics: Topics, size: int
    ) -> None:
        broker.create_topics(list(topics))
        inputs = [b"v0", b"v1", b"large", b"v3", b"v4"]
        publish(broker, *(Message(topics.frames.name, b"c", value) for value in inputs))
        worker = broker.worker(f"g-{uuid.uuid4().hex}", "w1", [topics.frames.name])
        policy = LoopPolicy(DeadLetterPolicy(topics.dead_letters.name))
        loop = StreamLoop(worker, Inflating(topics.scores.name, size), policy, SystemClock())
        stop = threading.Event()

        def is_through() -> bool:
            loop.turn(stop)
            return len(values(broker, topics.scores)) == 4

        eventually(is_through, within=60)
        worker.close()
        assert values(broker, topics.scores) == [b"V0", b"V1", b"V3", b"V4"]
        reader = broker.reader("test")
        (letter,) = reader.read(topics.dead_letters.name)
        reader.close()
        assert letter.value == b"large"
        assert dict(letter.headers)["reason"] == b"output_too_large"

    def test_a_letter_over_the_limit_of_its_topic_is_abridged(self, broker: Broker, topics: Topics) -> None:
        small = replace(topics.dead_letters, max_message_bytes=100_000)
        broker.create_topics([topics.frames, topics.scores, small])
        bad = b"bad" + bytes(200_000)
        publish(broker, *(Message(topics.frames.name, b"c", value) for value in (b"v0", bad, b"v2")))
        worker = broker.worker(f"g-{uuid.uuid4().hex}", "w1", [topics.frames.name])
        loop = StreamLoop(
            worker, Prompt(topics.scores.name), LoopPolicy(DeadLetterPolicy(small.name)), SystemClock()
        )
        stop = threading.Event()

        def is_through() -> bool:
            loop.turn(stop)
            return len(values(broker, topics.scores)) == 2

        eventually(is_through, within=60)
        worker.close()
        (letter,) = values(broker, small)
        assert letter is not None
        assert bad.startswith(letter)
        assert 10_000 < len(letter) < 100_000

    def test_a_dead_letter_keeps_bytes_and_headers_and_says_why(self, broker: Broker, topics: Topics) -> None:
        broker.create_topics(list(topics))
        publish(broker, Message(topics.frames.name, b"c", b"bad", (("camera", b"east-1"),)))
        worker = broker.worker(f"g-{uuid.uuid4().hex}", "w1", [topics.frames.name])
        policy = LoopPolicy(DeadLetterPolicy(topics.dead_letters.name), commit_every=timedelta(0))
        loop = StreamLoop(worker, Prompt(topics.scores.name), policy, SystemClock())
        stop = threading.Event()

        def arrived() -> bool:
            loop.turn(stop)
            return bool(values(broker, topics.dead_letters))

        eventually(arrived, within=30)
        worker.close()
        reader = broker.reader("test")
        (letter,) = reader.read(topics.dead_letters.name)
        reader.close()
        headers = dict(letter.headers)
        assert headers["camera"] == b"east-1"
        assert headers["reason"] == b"malformed_headers"
        assert headers["source-topic"] == topics.frames.name.encode()
        assert headers["source-offset"] == b"0"


class TestMemoryBroker(BrokerContract):
    @pytest.fixture
    def broker(self) -> Broker:
        return MemoryBroker()


@pytest.mark.servers
class TestKafkaBroker(BrokerContract):
    @pytest.fixture
    def broker(self, kafka: str) -> Iterator[Broker]:
        made = KafkaBroker(KafkaSettings(bootstrap_servers=kafka), "test")
        yield made
        made.close()
