"""Batches as no client of ours writes them, and how to hand them to a broker byte by byte."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from crc32c import crc32c
from kafka import KafkaAdminClient
from kafka.protocol.producer import ProduceRequest

NOW_MS = 1_790_000_000_000


def varint(number: int, length: int = 1) -> bytes:
    """Return a number as records hold it, in at least ``length`` bytes, which is more than it may need."""
    left = (number << 1) ^ (number >> 63)
    parts = bytearray()
    while left > 0x7F or len(parts) < length - 1:
        parts.append(left & 0x7F | 0x80)
        left >>= 7
    return bytes([*parts, left])


@dataclass(frozen=True, slots=True)
class RawRecord:
    """One record, whose every part may be unusual."""

    key: bytes | None = b"c1"
    value: bytes | None = b"v"
    headers: Sequence[tuple[bytes, bytes | None]] = ()
    attributes: int = 0
    offset_delta: int | None = None
    timestamp_delta: bytes = b"\0"
    width: int = 1

    def encoded(self, index: int) -> bytes:
        """Return the bytes of the record at a place in its batch."""
        delta = index if self.offset_delta is None else self.offset_delta
        parts = [bytes([self.attributes]), self.timestamp_delta, varint(delta)]
        parts += [self._sized(self.key), self._sized(self.value), varint(len(self.headers), self.width)]
        for name, value in self.headers:
            parts += [self._sized(name), self._sized(value)]
        body = b"".join(parts)
        return varint(len(body)) + body

    def _sized(self, content: bytes | None) -> bytes:
        return varint(-1) if content is None else varint(len(content), self.width) + content


def raw_batch(*records: RawRecord, first_ms: int = NOW_MS, base_offset: int = 0) -> bytes:
    """Return a batch whose header tells the truth of its records and whose checksum is right."""
    body = b"".join(record.encoded(index) for index, record in enumerate(records))
    return framed(body, len(records), first_ms=first_ms, base_offset=base_offset)


def framed(
    body: bytes, count: int, *, attributes: int = 0, first_ms: int = NOW_MS, base_offset: int = 0
) -> bytes:
    """Return a batch of ``count`` records around their bytes, which may be wrong."""
    fields = struct.pack(">hiqqqhii", attributes, count - 1, first_ms, first_ms, -1, -1, -1, count)
    checked = fields + body
    begin = struct.pack(">ibI", 0, 2, crc32c(checked))
    return struct.pack(">qi", base_offset, len(begin) + len(checked)) + begin + checked


def write_batch(bootstrap: str, topic: str, partition: int, batch: bytes) -> int:
    """Hand a batch to the broker; return its answer's error code, which is 0 when it took it."""
    admin: Any = KafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        data = ProduceRequest.TopicProduceData
        parts = [data.PartitionProduceData(index=partition, records=batch)]
        request: Any = ProduceRequest(
            transactional_id=None,
            acks=-1,
            timeout_ms=10_000,
            topic_data=[data(name=topic, partition_data=parts)],
            max_version=8,
        )
        answer = admin._manager.run(_sent, admin._manager, request)
        return int(answer.responses[0].partition_responses[0].error_code)
    finally:
        admin.close()


async def _sent(manager: Any, request: Any) -> Any:
    return await manager.send(request, node_id=1)
