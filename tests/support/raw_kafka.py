"""Writes batches as any client may, in any codec, over one connection, and tells where they landed."""

import gzip
import socket
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from tests.support.raw_batches import RawRecord, framed, varint

Pair = tuple[bytes, bytes | None]
TIMEOUT = 60.0  # seconds; the broker shares two cores with the tests


@dataclass(frozen=True, slots=True)
class StrangerRecord:
    """One record with a time of its own; ``headers`` have names in bytes."""

    key: bytes | None
    value: bytes | None
    headers: Sequence[Pair] = ()
    timestamp_ms: int = 0

    def encoded(self, delta: int, first_ms: int) -> bytes:
        """Return the record as it stands in a batch that begins at ``first_ms``."""
        since = varint(self.timestamp_ms - first_ms)
        return RawRecord(self.key, self.value, self.headers, timestamp_delta=since).encoded(delta)


@dataclass(frozen=True, slots=True)
class Landed:
    """What the broker answered to a batch: its first offset, or the code of an error."""

    offset: int
    error: int = 0


def batch(
    records: Sequence[StrangerRecord], codec: str = "none", spoil: Callable[[bytes], bytes] = bytes
) -> bytes:
    """Return a batch; ``spoil`` changes the compressed records, and the checksum fits what comes of it."""
    first = records[0].timestamp_ms
    number, compress = CODECS[codec]
    body = compress(b"".join(record.encoded(index, first) for index, record in enumerate(records)))
    return framed(spoil(body), len(records), attributes=number, first_ms=first)


class RawProducer:
    """Sends batches to one broker and waits for each answer."""

    def __init__(self, bootstrap: str) -> None:
        host, _, port = bootstrap.partition(":")
        self._address = host, int(port)
        self._socket = socket.create_connection(self._address, TIMEOUT)
        self._correlation = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def send(self, topic: str, partition: int, records: bytes) -> Landed:
        """Write a batch to a partition; a broker that closes the connection over it has refused it."""
        self._correlation += 1
        name = _string(topic.encode())
        head = struct.pack(">hhi", 0, 7, self._correlation) + _string(b"stranger")
        body = (
            struct.pack(">hhii", -1, -1, 30_000, 1) + name + struct.pack(">iii", 1, partition, len(records))
        )
        request = head + body + records
        try:
            self._socket.sendall(struct.pack(">i", len(request)) + request)
            answer = self._read(struct.unpack(">i", self._read(4))[0])
        except ConnectionError:
            self._socket.close()
            self._socket = socket.create_connection(self._address, TIMEOUT)
            return Landed(-1, -1)
        error, offset = struct.unpack_from(">hq", answer, 4 + 4 + len(name) + 4 + 4)
        return Landed(offset, error)

    def _read(self, size: int) -> bytes:
        found = b""
        while len(found) < size:
            part = self._socket.recv(size - len(found))
            if not part:
                raise ConnectionResetError("the broker closed the connection")
            found += part
        return found


def _string(data: bytes) -> bytes:
    return struct.pack(">h", len(data)) + data


def _snappy(data: bytes) -> bytes:
    """Return the data as Snappy literals: nothing is made smaller."""
    found, left = bytearray(), len(data)
    while left > 0x7F:
        found.append(left & 0x7F | 0x80)
        left >>= 7
    found.append(left)
    for at in range(0, len(data), 1 << 16):
        part = data[at : at + (1 << 16)]
        found += bytes([61 << 2]) + struct.pack("<H", len(part) - 1) + part
    return bytes(found)


def _lz4(data: bytes) -> bytes:
    """Return the data as an LZ4 frame of uncompressed blocks."""
    blocks = [data[at : at + (1 << 16)] for at in range(0, len(data), 1 << 16)]
    inner = b"".join(struct.pack("<I", len(block) | 1 << 31) + block for block in blocks)
    return bytes.fromhex("04224d18604082") + inner + bytes(4)


def _zstd(data: bytes) -> bytes:
    """Return the data as a Zstandard frame of raw blocks."""
    found = bytes.fromhex("28b52ffda0") + struct.pack("<I", len(data))
    blocks = [data[at : at + (1 << 16)] for at in range(0, len(data), 1 << 16)] or [b""]
    for number, block in enumerate(blocks, 1):
        found += struct.pack("<I", len(block) << 3 | (number == len(blocks)))[:3] + block
    return found


CODECS: Mapping[str, tuple[int, Callable[[bytes], bytes]]] = {
    "none": (0, bytes),
    "gzip": (1, gzip.compress),
    "snappy": (2, _snappy),
    "lz4": (3, _lz4),
    "zstd": (4, _zstd),
}
