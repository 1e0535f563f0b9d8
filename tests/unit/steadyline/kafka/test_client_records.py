"""The reading of fetched batches, whatever is in them: it ends, it goes forward, it makes little of much."""

import gzip
import random
import struct
import tracemalloc
from typing import Any

import pytest
from crc32c import crc32c
from kafka import TopicPartition
from kafka.errors import UnsupportedCodecError
from kafka.protocol.consumer import IsolationLevel
from kafka.record import MemoryRecords
from kafka.record.legacy_records import LegacyRecordBatchBuilder

from steadyline.contracts.wire import MAX_HEADERS
from steadyline.kafka.broker import Record
from steadyline.kafka.client.private_api import MAX_BATCH_BYTES, TolerantRecords
from tests.support.raw_batches import RawRecord, framed, raw_batch, varint

GOOD = RawRecord(value=b"good")
AFTER = raw_batch(GOOD, base_offset=10)


def unpacked(fetched: bytes, begin: int = 0) -> tuple[list[Record], int]:
    """Return what is read of a fetch, and where the next one begins; as the client's poll does it."""
    part: Any = TolerantRecords(
        begin, TopicPartition("t", 0), MemoryRecords(fetched), isolation_level=IsolationLevel.READ_COMMITTED
    )
    found: list[Record] = []
    while part:
        taken = part.take(1_000)
        found += taken
        assert taken or not part
    return found, part.next_fetch_offset


def body(*records: RawRecord) -> bytes:
    return b"".join(record.encoded(index) for index, record in enumerate(records))


BROKEN = {
    "a wrong checksum": raw_batch(GOOD)[:-1] + b"X",
    "a record longer than its batch": framed(varint(1 << 20) + b"\0" * 8, 1),
    "a negative length": framed(varint(-3) + b"\0" * 8, 1),
    "bytes behind the last record": framed(body(GOOD) + b"more", 1),
    "fewer records than it says": framed(body(GOOD), 3),
    "a number without an end": framed(b"\xff" * 12, 1),
    "a negative number of headers": framed(varint(7) + b"\0\0\0\1\1\1" + b"\0", 1),
    "gzip that is none": framed(b"no gzip at all", 1, attributes=1),
    "gzip that ends early": framed(gzip.compress(body(GOOD))[:-9], 1, attributes=1),
    "a bomb of gzip": framed(gzip.compress(bytes(MAX_BATCH_BYTES + 1)), 1, attributes=1),
    "a marker that is none": framed(body(GOOD), 1, attributes=0x20),
}


@pytest.mark.parametrize("batch", BROKEN.values(), ids=BROKEN.keys())
def test_a_batch_that_cannot_be_read_is_passed_over(batch: bytes) -> None:
    found, following = unpacked(batch + AFTER)
    assert [record.value for record in found if record.offset >= 10] == [b"good"]
    assert following == 11
    assert unpacked(batch)[1] >= 1  # alone it is passed over too, or it would be fetched for ever


def test_a_damaged_batch_costs_no_more_than_itself_when_nothing_in_it_can_be_believed() -> None:
    damaged = bytearray(raw_batch(*[GOOD] * 5))
    damaged[23:27] = struct.pack(">i", 1 << 30)  # its last offset
    assert unpacked(bytes(damaged))[1] == 1
    assert unpacked(bytes(damaged) + AFTER)[1] == 11


def test_a_codec_that_is_not_read_here_is_the_topics_fault_and_said() -> None:
    with pytest.raises(UnsupportedCodecError):
        unpacked(framed(b"whatever", 1, attributes=4))


def test_compressed_records_are_read() -> None:
    found, _ = unpacked(framed(gzip.compress(body(GOOD, GOOD)), 2, attributes=1))
    assert [record.value for record in found] == [b"good", b"good"]


@pytest.mark.parametrize("magic", [0, 1])
def test_records_of_the_old_formats_are_read(magic: int) -> None:
    builder: Any = LegacyRecordBatchBuilder(magic=magic, compression_type=0, batch_size=1 << 20)
    for offset in range(3):
        builder.append(offset, 1_000, b"k", b"v")
    found, following = unpacked(bytes(builder.build()))
    assert [(record.offset, record.value) for record in found] == [(0, b"v"), (1, b"v"), (2, b"v")]
    assert following == 3


def test_a_compacted_batch_keeps_the_offsets_of_what_is_left() -> None:
    left = body(RawRecord(offset_delta=2, value=b"x"), RawRecord(offset_delta=5, value=b"y"))
    fields = struct.pack(">hiqqqhii", 0, 6, 0, 0, -1, -1, -1, 2)
    checked = fields + left
    batch = struct.pack(">qiibI", 100, 9 + len(checked), 0, 2, crc32c(checked)) + checked
    found, following = unpacked(batch, 100)
    assert [record.offset for record in found] == [102, 105]
    assert following == 107


@pytest.mark.parametrize("seed", range(5))
def test_random_damage_never_stops_the_reading(seed: int) -> None:
    dice = random.Random(seed)
    whole = raw_batch(RawRecord(headers=[(b"camera", b"c1"), (b"\xff", None)]), GOOD, RawRecord(key=None))
    for _ in range(400):
        inner = bytearray(whole[61:])
        for _ in range(dice.randrange(1, 6)):
            inner[dice.randrange(len(inner))] = dice.randrange(256)
        found, following = unpacked(framed(bytes(inner), 3, attributes=dice.choice([0, 0, 1, 8, 16])) + AFTER)
        assert following == 11
        offsets = [record.offset for record in found]
        assert offsets == sorted(set(offsets))
        assert all(offset in (0, 1, 2, 10) for offset in offsets)


def test_two_million_headers_make_no_two_million_objects() -> None:
    batch = raw_batch(RawRecord(headers=[(b"", b"")] * 2_000_000))
    tracemalloc.start()
    found, _ = unpacked(batch)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(found[0].headers) <= MAX_HEADERS
    assert found[0].cut_from is not None
    assert found[0].cut_from > 4_000_000
    assert kept < 1 << 20
