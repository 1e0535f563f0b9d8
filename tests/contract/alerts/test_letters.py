"""What the desk of dead letters holds, on the in-memory twin and on Apache Kafka."""

import uuid
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta

import pytest

from alerts.control.letters import DeadLetterDesk, LetterQuery, ShownLetter
from steadyline.contracts.dead_letter import DeadLetter
from steadyline.contracts.headers import Headers
from steadyline.contracts.topics import Topics, line_topics
from steadyline.kafka.broker import Broker, Message, Partition
from steadyline.kafka.client.broker import KafkaBroker
from steadyline.kafka.dead_letters.letter import TopicPosition
from steadyline.kafka.memory.broker import MemoryBroker
from steadyline.settings import KafkaSettings
from tests.support.broker_steps import publish, values
from tests.support.eventually import eventually

FRAME: Headers = (("ce_id", b"east-1/7/5"),)


class DeskContract:
    """Inherited by the twin and by the real thing."""

    @pytest.fixture
    def topics(self, broker: Broker) -> Topics:
        made = line_topics(f"t{uuid.uuid4().hex[:10]}", 2)
        broker.create_topics(list(made))
        return made

    @pytest.fixture
    def desk(self, broker: Broker, topics: Topics) -> DeadLetterDesk:
        return DeadLetterDesk(broker, topics, f"{topics.frames.name}.scorer")

    def test_pages_hold_each_letter_once_newest_first(
        self, broker: Broker, topics: Topics, desk: DeadLetterDesk
    ) -> None:
        for n in range(11):
            publish(broker, letter(topics, n, partition=n % 2))
        found: list[ShownLetter] = []
        after = None
        while True:
            page = desk.page(LetterQuery(), after, 4)
            found += page.letters
            after = page.next
            if after is None:
                break
        sources = [shown.letter.source for shown in found]
        assert sorted(source.offset for source in sources if source is not None) == list(range(11))
        times = [shown.letter.at for shown in found]
        assert times == sorted(times, reverse=True)
        assert {shown.head for shown in found} == {"\\xffframe"}

    def test_letters_of_a_loop_lie_between_markers_of_transactions(
        self, broker: Broker, topics: Topics, desk: DeadLetterDesk
    ) -> None:
        publish(broker, *(Message(topics.frames.name, b"c", b"%d" % n, (), 0) for n in range(6)))
        with closing(broker.worker("g", "a", [topics.frames.name])) as worker:
            for n in range(6):
                offsets = {Partition(topics.frames.name, 0): n + 1}

                def commit(n: int = n, offsets: dict[Partition, int] = offsets) -> bool:
                    worker.poll(timedelta(milliseconds=50))
                    return worker.commit([letter(topics, n, partition=0)], offsets)

                eventually(commit, within=30)
        page = desk.page(LetterQuery(), None, 2)
        rest = desk.page(LetterQuery(), page.next, 20)
        sources = [shown.letter.source for shown in (*page.letters, *rest.letters)]
        assert [source.offset for source in sources if source is not None] == [5, 4, 3, 2, 1, 0]
        assert rest.next is None

    def test_a_frame_goes_back_to_its_partition_and_waits_there(
        self, broker: Broker, topics: Topics, desk: DeadLetterDesk
    ) -> None:
        publish(broker, letter(topics, 0, partition=1))
        place = TopicPosition(1, 0)
        found = desk.find(place)
        assert found is not None
        assert found[1:] == ("", "")
        sent = desk.send_back(place)
        assert sent is not None
        assert sent.problem == ""
        assert values(broker, topics.frames) == [b"\xffframe"]
        again = desk.find(place)
        assert again is not None
        assert "waits at 1/0" in again[1]
        assert desk.find(TopicPosition(1, 9)) is None


def letter(topics: Topics, number: int, partition: int) -> Message:
    refused = DeadLetter(b"\xffframe", FRAME, "too_old", "old", topics.frames.name, partition, number)
    headers = refused.encode_headers()
    return Message(topics.dead_letters.name, b"east-1", refused.value, headers, partition)


class TestMemoryDesk(DeskContract):
    @pytest.fixture
    def broker(self) -> Broker:
        return MemoryBroker()


@pytest.mark.servers
class TestKafkaDesk(DeskContract):
    @pytest.fixture
    def broker(self, kafka: str) -> Iterator[Broker]:
        made = KafkaBroker(KafkaSettings(bootstrap_servers=kafka), "test")
        yield made
        made.close()
