"""What every follower holds, on the in-memory twin and on Apache Kafka."""

import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta

import pytest
from kafka import KafkaAdminClient, TopicPartition

from steadyline.contracts.model_command import ModelCommand
from steadyline.contracts.topics import Topics, line_topics
from steadyline.errors import BrokerUnavailable, ContractBroken
from steadyline.kafka.broker import Broker, Follower, Message, Partition, Record
from steadyline.kafka.client.broker import KafkaBroker
from steadyline.kafka.commands import CommandPublisher
from steadyline.kafka.memory.broker import MemoryBroker
from steadyline.settings import KafkaSettings
from tests.support.broker_steps import committed, polled, publish
from tests.support.eventually import eventually
from tests.support.servers import OwnStack

SHORT = timedelta(milliseconds=50)
Expire = Callable[[Partition, int], None]


def numbered(topic: str, partition: int, numbers: Sequence[int]) -> list[Message]:
    return [Message(topic, b"c", b"%d" % number, (), partition) for number in numbers]


def read(follower: Follower, count: int) -> list[Record]:
    """Return the next records, at least ``count``; an outage meanwhile is waited out."""
    found: list[Record] = []

    def enough() -> bool:
        try:
            found.extend(follower.poll(SHORT))
        except BrokerUnavailable:
            return False
        return len(found) >= count

    eventually(enough, 60, f"{count} records")
    return found


def at_end(follower: Follower) -> list[Record]:
    """Return what comes until the follower is at the end."""
    found: list[Record] = []

    def ended() -> bool:
        found.extend(follower.poll(SHORT))
        return follower.is_at_end()

    eventually(ended, 20, "the end")
    return found


class FollowerContract:
    """Inherited by the twin and by the real thing."""

    @pytest.fixture
    def topics(self, broker: Broker) -> Topics:
        topics = line_topics(f"t{uuid.uuid4().hex[:10]}", 2)
        broker.create_topics(list(topics))
        return topics

    @pytest.fixture
    def follow(self, broker: Broker) -> Iterator[Callable[..., Follower]]:
        made: list[Follower] = []

        def follow(*topics: str, start: dict[Partition, int] | None = None) -> Follower:
            made.append(broker.follower("test", topics, start))
            return made[-1]

        yield follow
        for follower in made:
            follower.close()

    def test_it_reads_several_topics_from_the_beginning_and_what_comes_later(
        self, broker: Broker, topics: Topics, follow: Callable[..., Follower]
    ) -> None:
        scores, commands = topics.scores.name, topics.model_commands.name
        publish(broker, *numbered(scores, 0, range(3)), *numbered(commands, 0, range(2)))
        follower = follow(scores, commands)
        assert (follower.positions(), follower.is_at_end()) == ({}, False)
        found = read(follower, 5)
        assert follower.is_at_end()
        assert follower.positions() == {
            Partition(scores, 0): 3,
            Partition(scores, 1): 0,
            Partition(commands, 0): 2,
        }
        publish(broker, *numbered(scores, 1, [7]))
        found += read(follower, 1)
        by_place = {
            place: [record.value for record in found if record.partition == place]
            for place in follower.positions()
        }
        assert by_place == {
            Partition(scores, 0): [b"0", b"1", b"2"],
            Partition(scores, 1): [b"7"],
            Partition(commands, 0): [b"0", b"1"],
        }
        assert follower.positions()[Partition(scores, 1)] == 1

    def test_it_begins_where_it_is_told_and_at_the_beginning_otherwise(
        self, broker: Broker, topics: Topics, follow: Callable[..., Follower]
    ) -> None:
        scores = topics.scores.name
        publish(broker, *numbered(scores, 0, range(5)), *numbered(scores, 1, range(10, 12)))
        start = {Partition(scores, 0): 3, Partition("another", 0): 9}
        values = sorted(record.value or b"" for record in read(follow(scores, start=start), 4))
        assert values == [b"10", b"11", b"3", b"4"]

    def test_positions_after_any_poll_continue_without_gap_and_repetition(
        self, broker: Broker, topics: Topics, follow: Callable[..., Follower]
    ) -> None:
        scores, events = topics.scores.name, topics.model_events.name
        positions: dict[Partition, int] = {}
        found: list[tuple[Partition, int]] = []
        for round_ in range(4):
            numbers = range(round_ * 20, round_ * 20 + 20)
            for place in (0, 1):
                publish(broker, *numbered(scores, place, numbers))
            publish(broker, *numbered(events, 0, numbers))
            follower = follow(scores, events, start=positions)
            records: Sequence[Record] = []
            while not records:
                records = follower.poll(SHORT)  # one poll, whatever it brings
            found += [(record.partition, record.offset) for record in records]
            positions = follower.positions()
        found += [
            (record.partition, record.offset) for record in at_end(follow(scores, events, start=positions))
        ]
        assert len(found) == len(set(found)) == 240

    def test_the_markers_of_transactions_count_as_read(
        self, broker: Broker, topics: Topics, follow: Callable[..., Follower]
    ) -> None:
        frames, scores = topics.frames.name, topics.scores.name
        publish(broker, *numbered(frames, 0, range(2)))
        worker = broker.worker(f"g-{uuid.uuid4().hex}", "w1", [frames])
        polled(worker, 2)
        worker.take_lost()
        for offset in (1, 2):
            assert committed(worker, numbered(scores, 0, [offset]), {Partition(frames, 0): offset})
        worker.close()
        follower = follow(scores)
        assert [record.value for record in at_end(follower)] == [b"1", b"2"]
        assert follower.positions() == broker.end_offsets([scores])
        again = follow(scores, start=follower.positions())
        assert at_end(again) == []
        assert again.positions() == follower.positions()
        publish(broker, *numbered(scores, 0, [3]))
        assert [record.value for record in read(again, 1)] == [b"3"]

    @pytest.mark.parametrize("start", [0, 2])
    def test_an_offset_that_retention_has_deleted_means_the_first_that_is_kept(
        self,
        broker: Broker,
        topics: Topics,
        follow: Callable[..., Follower],
        expire: Expire,
        start: int,
    ) -> None:
        place = Partition(topics.scores.name, 0)
        publish(broker, *numbered(place.topic, 0, range(6)))
        expire(place, 4)
        follower = follow(place.topic, start={place: start})
        assert [(record.offset, record.value) for record in read(follower, 2)] == [(4, b"4"), (5, b"5")]
        assert follower.positions()[place] == 6
        assert follower.is_at_end()

    def test_when_retention_has_deleted_all_it_is_at_the_end(
        self, broker: Broker, topics: Topics, follow: Callable[..., Follower], expire: Expire
    ) -> None:
        place = Partition(topics.model_commands.name, 0)
        publish(broker, *numbered(place.topic, 0, range(6)))
        expire(place, 6)
        follower = follow(place.topic, start={place: 2})
        assert at_end(follower) == []
        assert follower.positions() == {place: 6}

    def test_an_offset_that_the_topic_has_not_reached_means_the_first_that_is_kept(
        self, broker: Broker, topics: Topics, follow: Callable[..., Follower]
    ) -> None:
        place = Partition(topics.model_commands.name, 0)
        publish(broker, *numbered(place.topic, 0, range(3)))
        follower = follow(place.topic, start={place: 900})
        assert [record.offset for record in at_end(follower)] == [0, 1, 2]
        assert follower.positions() == {place: 3}

    def test_a_missing_topic_is_named_and_read_once_it_is_there(
        self, broker: Broker, topics: Topics, follow: Callable[..., Follower]
    ) -> None:
        later = line_topics(f"t{uuid.uuid4().hex[:10]}", 1).model_commands
        follower = follow(topics.scores.name, later.name)
        for _ in range(2):
            with pytest.raises(ContractBroken, match=later.name):
                follower.poll(SHORT)
        assert (follower.positions(), follower.is_at_end()) == ({}, False)
        broker.create_topics([later])
        publish(broker, *numbered(later.name, 0, [1]), *numbered(topics.scores.name, 1, [2]))
        assert sorted(record.value or b"" for record in read(follower, 2)) == [b"1", b"2"]

    def test_one_publisher_writes_many_commands(
        self, broker: Broker, topics: Topics, follow: Callable[..., Follower]
    ) -> None:
        now = datetime(2026, 3, 1, tzinfo=UTC)
        orders = [
            ModelCommand(product="cell", action="promote", version=version, who="me", at=now, why="")
            for version in (1, 2, 3)
        ]
        with closing(CommandPublisher(broker, topics.model_commands, "line-1", "test")) as commands:
            assert [commands.send(order) for order in orders] == [0, 1, 2]
        records = read(follow(topics.model_commands.name), 3)
        assert [ModelCommand.decode(record.value) for record in records] == orders
        assert {record.key for record in records} == {b"cell"}
        assert dict(records[0].headers)["ce_source"] == b"/steadyline/line-1"


class TestMemoryFollower(FollowerContract):
    @pytest.fixture
    def broker(self) -> MemoryBroker:
        return MemoryBroker()

    @pytest.fixture
    def expire(self, broker: MemoryBroker) -> Expire:
        return broker.expire

    def test_an_outage_keeps_the_position(self, broker: MemoryBroker, topics: Topics) -> None:
        place = Partition(topics.model_commands.name, 0)
        follower = broker.follower("test", [place.topic])
        publish(broker, *numbered(place.topic, 0, range(2)))
        assert len(follower.poll(SHORT)) == 2
        publish(broker, *numbered(place.topic, 0, [2]))
        broker.set_away(True)
        with pytest.raises(BrokerUnavailable):
            follower.poll(SHORT)
        assert follower.positions() == {place: 2}
        broker.set_away(False)
        assert [record.offset for record in follower.poll(SHORT)] == [2]

    def test_a_poll_wakes_up_when_something_comes(self, broker: MemoryBroker, topics: Topics) -> None:
        scores = topics.scores.name
        follower = broker.follower("test", [scores])
        follower.poll(timedelta(0))
        timer = threading.Timer(0.1, publish, (broker, *numbered(scores, 0, [1])))
        timer.start()
        assert [record.value for record in follower.poll(timedelta(seconds=20))] == [b"1"]
        timer.join()

    def test_a_command_that_the_broker_does_not_take_is_said_and_the_next_one_is_written(
        self, broker: MemoryBroker, topics: Topics
    ) -> None:
        order = ModelCommand(
            product="cell", action="retrain", version=None, who="me", at=datetime.now(UTC), why=""
        )
        commands = CommandPublisher(broker, topics.model_commands, "line-1", "test")
        broker.set_away(True)
        with pytest.raises(BrokerUnavailable):
            commands.send(order)
        broker.set_away(False)
        assert commands.send(order) == 0


@pytest.mark.servers
class TestKafkaFollower(FollowerContract):
    @pytest.fixture
    def broker(self, kafka: str) -> Iterator[Broker]:
        made = KafkaBroker(KafkaSettings(bootstrap_servers=kafka), "test")
        yield made
        made.close()

    @pytest.fixture
    def expire(self, kafka: str) -> Iterator[Expire]:
        admin = KafkaAdminClient(bootstrap_servers=kafka)

        def expire(place: Partition, count: int) -> None:
            admin.delete_records({TopicPartition(place.topic, place.number): count})

        yield expire
        admin.close()


@pytest.mark.servers
def test_a_broker_that_is_killed_costs_a_follower_nothing(own_stack: OwnStack) -> None:
    stack = own_stack("kafka")
    broker = KafkaBroker(KafkaSettings(bootstrap_servers=stack.addresses.kafka_bootstrap), "test")
    topics = line_topics("t", 2)
    broker.create_topics(list(topics))
    scores, events = topics.scores.name, topics.model_events.name
    publish(broker, *numbered(scores, 0, range(5)), *numbered(events, 0, range(5)))
    follower = broker.follower("test", [scores, events])
    found = read(follower, 10)
    before = follower.positions()
    stack.kafka.kill9()
    for _ in range(20):
        with suppress(BrokerUnavailable):
            assert follower.poll(SHORT) == []
    assert follower.positions() == before
    stack.kafka.restart()
    publish(broker, *numbered(scores, 0, range(5, 8)), *numbered(events, 0, range(5, 8)))
    found += read(follower, 6)
    places = [(record.partition.topic, record.offset) for record in found]
    assert sorted(places) == [(topic, offset) for topic in sorted([scores, events]) for offset in range(8)]
    follower.close()
    broker.close()
