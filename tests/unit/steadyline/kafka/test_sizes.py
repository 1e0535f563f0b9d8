"""What a record weighs counts wherever bytes are bounded, in whichever of its parts they lie."""

import tracemalloc
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from kafka import TopicPartition
from kafka.record import MemoryRecords

from steadyline.contracts.headers import Headers
from steadyline.contracts.model_command import ModelCommand
from steadyline.contracts.wire import MAX_HEADER_BYTES, MAX_HEADERS
from steadyline.errors import MalformedHeaders, PictureTooLarge, PoisonMessage
from steadyline.kafka.broker import Message, Partition, Record
from steadyline.kafka.client.private_api import TolerantRecords
from steadyline.kafka.loop.in_hand import InHand, QueueLimits
from steadyline.kafka.loop.partition_queue import PartitionQueue
from steadyline.kafka.memory.broker import MemoryBroker
from steadyline.kafka.messages import decoded
from tests.support.handlers import Prompt
from tests.support.loop_bench import AT_ONCE, TOPICS, LoopBench, turns
from tests.support.raw_batches import RawRecord, raw_batch

PLACE = Partition("t.frames.v1", 0)
MIB = 1 << 20
VALUE = Path("steadyline/contracts/examples/model-command/v1/retrain.json").read_bytes()
ONE_MIB = {
    "key": {"key": bytes(MIB)},
    "value": {"value": bytes(MIB)},
    "a header's value": {"headers": (("x", bytes(MIB)),)},
    "a header's name": {"headers": (("x" * MIB, b""),)},
    "many headers": {"headers": (("x", b""),) * (MIB // 11 + 1)},
}
LARGE = pytest.mark.parametrize("part", ONE_MIB.values(), ids=ONE_MIB.keys())


def record(**parts: Any) -> Record:
    return replace(Record(PLACE, 0, None, None, (), 0), **parts)


@LARGE
def test_a_record_and_a_message_weigh_all_their_parts(part: dict[str, Any]) -> None:
    assert MIB < record(**part).size < MIB + 200
    assert MIB < replace(Message("t", None, None), **part).size < MIB + 200


@LARGE
def test_a_queue_counts_whole_records_and_is_empty_again_in_the_end(part: dict[str, Any]) -> None:
    queue: PartitionQueue[None] = PartitionQueue()
    queue.add([record(**part)] * 3)
    assert queue.bytes > 3 * MIB
    for _ in range(3):
        queue.take(Future())
    queue.release(3)
    assert queue.bytes == 0


@LARGE
def test_a_partition_with_enough_bytes_in_hand_is_paused(part: dict[str, Any]) -> None:
    paused: list[Partition] = []

    class HeldSource:
        def pause(self, partition: Partition) -> None:
            paused.append(partition)

        def resume(self, partition: Partition) -> None:
            paused.remove(partition)

    in_hand = InHand(HeldSource(), Prompt("t"), QueueLimits(high_bytes=4 * MIB))
    in_hand.add(PLACE, [record(**part)] * 3)
    assert not paused
    in_hand.add(PLACE, [record(**part)] * 3)
    assert paused == [PLACE]


@LARGE
def test_a_topic_of_the_twin_takes_no_message_above_its_limit(part: dict[str, Any]) -> None:
    broker = MemoryBroker()
    broker.create_topics(list(TOPICS))
    results: list[Exception | None] = []
    broker.publisher("test").publish(replace(Message(TOPICS.scores.name, b"k", b"v"), **part), results.append)
    assert [type(result) for result in results] == [PictureTooLarge]


TOO_MANY: dict[str, Headers] = {
    "one more than may be": (("x", b""),) * (MAX_HEADERS + 1),
    "hundred thousand": (("x", b""),) * 100_000,
    "too many bytes": (("x", bytes(MAX_HEADER_BYTES)),),
    "far too many bytes": (("x", bytes(7 * MIB)),),
    "a name that is no UTF-8": (("\udcff", b""),),
}


@pytest.mark.parametrize("headers", TOO_MANY.values(), ids=TOO_MANY.keys())
def test_headers_that_no_record_of_ours_has_never_reach_a_handler(headers: Headers) -> None:
    bench = LoopBench(AT_ONCE)
    handler = Prompt(TOPICS.scores.name)
    bench.broker.publisher("test").publish(
        Message(TOPICS.frames.name, b"c", b"v", headers), lambda error: None
    )
    turns(bench.loop(handler), 3)
    (letter,) = bench.broker.reader("test").read(TOPICS.dead_letters.name)
    assert dict(letter.headers)["reason"] == b"malformed_headers"
    assert ("cut-from" in dict(letter.headers)) == (headers[0][0].isascii())
    assert letter.size < 2 * MAX_HEADER_BYTES
    assert bench.read() == []


@pytest.mark.parametrize("headers", TOO_MANY.values(), ids=TOO_MANY.keys())
def test_nor_do_they_reach_who_follows_a_topic(headers: Headers) -> None:
    refused: list[PoisonMessage] = []
    sent = record(headers=headers, value=VALUE)
    assert list(decoded([replace(sent, headers=())], ModelCommand, lambda _, error: refused.append(error)))
    assert refused == []
    assert not list(decoded([sent], ModelCommand, lambda _, error: refused.append(error)))
    assert [type(error) for error in refused] == [MalformedHeaders]


def test_two_hundred_records_of_seven_mebibytes_of_headers_weigh_next_to_nothing() -> None:
    batch = raw_batch(RawRecord(value=None, headers=[(b"h", bytes(MIB))] * 7))
    queue: PartitionQueue[None] = PartitionQueue()
    tracemalloc.start()
    for _ in range(200):
        part: Any = TolerantRecords(0, TopicPartition("t", 0), MemoryRecords(batch))
        queue.add(part.take(10))
    kept, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(queue) == 200
    assert kept < 2 * MIB
    assert most < 32 * MIB
