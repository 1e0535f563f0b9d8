"""Whatever bytes a producer writes into a record that Kafka takes: no reader stops or is led astray."""

import threading
import uuid
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from steadyline.clock import SystemClock
from steadyline.contracts.topics import Topics, line_topics
from steadyline.contracts.wire import MAX_HEADERS, first_headers
from steadyline.errors import MalformedHeaders
from steadyline.kafka.broker import Broker, Message, Record
from steadyline.kafka.client.broker import KafkaBroker
from steadyline.kafka.loop.refused_records import DeadLetterPolicy
from steadyline.kafka.loop.stream_loop import LoopPolicy, StreamLoop
from steadyline.settings import KafkaSettings
from tests.support.broker_steps import SHORT, publish
from tests.support.eventually import eventually
from tests.support.handlers import Prompt
from tests.support.raw_batches import NOW_MS, RawRecord, raw_batch, varint, write_batch

pytestmark = pytest.mark.servers

NO_UTF8 = b"\xff\xfe"
GOOD = RawRecord(value=b"good")
# Each is refused by whoever reads it.
REFUSED = {
    "a name that is no UTF-8": RawRecord(headers=[(NO_UTF8, b"y")]),
    "a surrogate as a name": RawRecord(headers=[(b"\xed\xb3\xbf", b"y")]),
    "a name cut in its last letter": RawRecord(headers=[(b"x\xe2\x82", b"y"), (b"camera", b"c1")]),
    "headers without end": RawRecord(headers=[(b"", b"")] * 300_000),
    "one header of 1 MiB": RawRecord(headers=[(b"x", bytes(1 << 20))]),
    "one name of 1 MiB": RawRecord(headers=[(b"x" * (1 << 20), b"")]),
    "one header too many": RawRecord(headers=[(b"x", None)] * (MAX_HEADERS + 1)),
}
# Each is unusual in form and says what any record may say.
TAKEN = {
    "attributes": RawRecord(attributes=0xFF, value=b"good"),
    "numbers of five bytes": RawRecord(width=5, value=b"good", headers=[(b"a", b"b")]),
    "a timestamp of ten bytes": RawRecord(timestamp_delta=varint(0, 10), value=b"good"),
    "the first moment": RawRecord(timestamp_delta=varint(-(1 << 62)), value=b"good"),
    "neither key nor headers": RawRecord(key=None, value=b"good"),
    "an offset of its own": RawRecord(offset_delta=1 << 30, value=b"good"),
    "a negative offset": RawRecord(offset_delta=-5, value=b"good"),
    "headers without values": RawRecord(value=b"good", headers=[(b"a", None), (b"", None)]),
}


@pytest.fixture
def topics() -> Topics:
    return line_topics(f"t{uuid.uuid4().hex[:10]}", 1)


@pytest.fixture
def broker(kafka: str, topics: Topics) -> Iterator[Broker]:
    with closing(KafkaBroker(KafkaSettings(bootstrap_servers=kafka), "test")) as made:
        made.create_topics(list(topics))
        yield made


def written(kafka: str, topics: Topics, record: RawRecord) -> None:
    """Write a record between two good ones, in one batch of its own each."""
    for each in (GOOD, record, GOOD):
        assert write_batch(kafka, topics.frames.name, 0, raw_batch(each)) == 0


def read(broker: Broker, topic: str) -> list[Record]:
    with closing(broker.reader("test")) as reader:
        return list(reader.read(topic))


def followed(broker: Broker, topic: str, count: int) -> list[Record]:
    found: list[Record] = []
    with closing(broker.follower("test", [topic])) as follower:

        def is_read() -> bool:
            found.extend(follower.poll(SHORT))
            return len(found) >= count

        eventually(is_read, within=20)
        assert follower.is_at_end()
    return found


@pytest.mark.parametrize("record", REFUSED.values(), ids=REFUSED.keys())
def test_a_record_of_bad_headers_stops_no_reader_and_becomes_a_letter(
    broker: Broker, kafka: str, topics: Topics, record: RawRecord
) -> None:
    written(kafka, topics, record)
    for records in (read(broker, topics.frames.name), followed(broker, topics.frames.name, 3)):
        assert [item.offset for item in records] == [0, 1, 2]
        assert len(records[1].headers) <= 2 * MAX_HEADERS
        assert records[1].size < 64 << 10
        with pytest.raises(MalformedHeaders):
            records[1].check()
    with closing(broker.worker(f"g-{uuid.uuid4().hex}", "w1", [topics.frames.name])) as worker:
        policy = LoopPolicy(DeadLetterPolicy(topics.dead_letters.name))
        loop = StreamLoop(worker, Prompt(topics.scores.name), policy, SystemClock())
        stop = threading.Event()

        def is_through() -> bool:
            loop.turn(stop)
            return len(read(broker, topics.scores.name)) == 2

        eventually(is_through, within=30)
    (letter,) = read(broker, topics.dead_letters.name)
    headers = dict(letter.headers)
    assert headers["reason"] == b"malformed_headers"
    assert headers["source-offset"] == b"1"
    kept = first_headers(read(broker, topics.frames.name)[1].headers)
    assert letter.headers[: len(kept)] == tuple(kept)


def test_a_letter_gives_the_very_names_back(broker: Broker, kafka: str, topics: Topics) -> None:
    written(kafka, topics, REFUSED["a name that is no UTF-8"])
    refused = read(broker, topics.frames.name)[1]
    publish(broker, Message(topics.frames.name, refused.key, refused.value, refused.headers))
    assert read(broker, topics.frames.name)[3].headers == refused.headers == (("\udcff\udcfe", b"y"),)


@pytest.mark.parametrize("record", TAKEN.values(), ids=TAKEN.keys())
def test_a_record_in_an_unusual_form_is_read_as_any_other(
    broker: Broker, kafka: str, topics: Topics, record: RawRecord
) -> None:
    written(kafka, topics, record)
    for records in (read(broker, topics.frames.name), followed(broker, topics.frames.name, 3)):
        assert [item.offset for item in records] == [0, 1, 2]
        assert [item.value for item in records] == [b"good"] * 3
        assert all(item.timestamp_ms >= 0 for item in records)


def test_records_that_lie_about_their_offsets_move_no_committed_offset(
    broker: Broker, kafka: str, topics: Topics
) -> None:
    lies = [RawRecord(offset_delta=delta, value=b"good") for delta in (7, 1 << 30, -1, 0)]
    assert write_batch(kafka, topics.frames.name, 0, raw_batch(*lies)) == 0
    with closing(broker.worker("g", "w1", [topics.frames.name])) as worker:
        found: list[int] = []

        def are_read() -> bool:
            for records in worker.poll(timedelta(milliseconds=50)).values():
                found.extend(record.offset for record in records)
            return len(found) >= 4

        eventually(are_read, within=20)
    assert found == [0, 1, 2, 3]


@pytest.mark.parametrize(
    "clock", [0, NOW_MS // 1000 * 2000, 1], ids=["1970", "far ahead", "the first second"]
)
def test_a_producers_clock_decides_nothing(broker: Broker, kafka: str, topics: Topics, clock: int) -> None:
    before = datetime.now(UTC).timestamp() * 1000
    assert write_batch(kafka, topics.frames.name, 0, raw_batch(GOOD, first_ms=clock)) == 0
    (record,) = read(broker, topics.frames.name)
    assert before - 1_000 < record.timestamp_ms < before + 60_000
