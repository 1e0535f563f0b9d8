"""Reads the records of one batch as the broker reads them: lengths, limits and offsets are checked.

The broker has checked the structure of what it took, by its own rules; where kafka-python reads the same
bytes otherwise, a record that the broker took stops every reader. What this module cannot read raises
ValueError.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from steadyline.contracts.headers import Headers
from steadyline.contracts.wire import (
    HEADER_OVERHEAD,
    MAX_HEADER_BYTES,
    MAX_HEADERS,
    first_headers,
    headers_size,
    name_of,
)

# More than a record of ours may have, for a dead letter adds headers behind those of what was refused.
KEPT_HEADERS = MAX_HEADERS + 16
KEPT_HEADER_BYTES = MAX_HEADER_BYTES + (8 << 10)


@dataclass(frozen=True, slots=True)
class RecordFields:
    """One record of a batch; offset and timestamp count from those of the batch."""

    offset_delta: int
    timestamp_delta: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    cut_from: int | None


def are_kept(headers: Sequence[tuple[str, bytes]]) -> bool:
    """Return True for headers that are kept when they are read; of more only the first are."""
    return len(headers) <= KEPT_HEADERS and headers_size(headers) <= KEPT_HEADER_BYTES


def read_records(body: memoryview, count: int) -> Iterator[RecordFields]:
    """Yield the ``count`` records of a batch, of which ``body`` is what follows its header."""
    position = 0
    for _ in range(count):
        length, start = _varint(body, position)
        position = start + length
        if length < 0 or position > len(body):
            raise ValueError(f"a record of {length} bytes does not fit in its batch")
        yield _read_record(bytes(body[start:position]))  # bytes are read much faster than a view of them
    if position != len(body):
        raise ValueError(f"{len(body) - position} bytes follow the last record of a batch")


def offset_deltas(
    records: Iterator[RecordFields], count: int, last: int
) -> Iterator[tuple[int, RecordFields]]:
    """Yield each record with its place in the batch, which what it says of itself cannot move.

    The broker does not hold the deltas that a producer wrote to their order. In a batch without gaps they can
    only be 0, 1, 2 and so on; where compaction has left gaps, they ascend up to ``last``.
    """
    before = -1
    for index, record in enumerate(records):
        delta = index if count == last + 1 else record.offset_delta
        if not before < delta <= last:
            raise ValueError(f"offset {delta} behind {before} in a batch up to {last}")
        before = delta
        yield delta, record


def _read_record(record: bytes) -> RecordFields:
    timestamp, position = _varlong(record, 1)  # the first byte holds attributes, of which there are none
    offset, position = _varint(record, position)
    key, position = _bytes(record, position)
    value, position = _bytes(record, position)
    count, position = _varint(record, position)
    headers, is_cut, position = _read_headers(record, position, count)
    if is_cut:
        return RecordFields(offset, timestamp, key, value, tuple(first_headers(headers)), len(record))
    if position != len(record):
        raise ValueError(f"{len(record) - position} bytes follow the headers of a record")
    return RecordFields(offset, timestamp, key, value, headers, None)


def _read_headers(record: bytes, position: int, count: int) -> tuple[Headers, bool, int]:
    """Return the headers, whether more of them are left out, and the position behind the last one read."""
    if count < 0:
        raise ValueError(f"a record with {count} headers")
    headers: list[tuple[str, bytes]] = []
    room = KEPT_HEADER_BYTES
    for _ in range(count):
        size, position = _varint(record, position)
        if size < 0:
            raise ValueError("a header without a name")
        start, position = position, position + size
        length, value = _varint(record, position)
        position = value + max(0, length)
        room -= size + max(0, length) + HEADER_OVERHEAD
        if position > len(record):
            raise ValueError("a header does not fit in its record")
        if room < 0 or len(headers) == KEPT_HEADERS:
            return tuple(headers), True, position
        headers.append((name_of(record[start : start + size]), record[value:position]))
    return tuple(headers), False, position


def _bytes(buffer: bytes, position: int) -> tuple[bytes | None, int]:
    length, start = _varint(buffer, position)
    if length < 0:
        return None, start
    end = start + length
    if end > len(buffer):
        raise ValueError(f"{length} bytes do not fit in their record")
    return buffer[start:end], end


def _varint(buffer: bytes | memoryview, position: int) -> tuple[int, int]:
    if position < len(buffer) and (byte := buffer[position]) < 0x80:  # nearly every one is a single byte
        return (byte >> 1) ^ -(byte & 1), position + 1
    return _variable(buffer, position, 5, 0xFFFF_FFFF)


def _varlong(buffer: bytes, position: int) -> tuple[int, int]:
    return _variable(buffer, position, 10, 0xFFFF_FFFF_FFFF_FFFF)


def _variable(buffer: bytes | memoryview, position: int, most: int, mask: int) -> tuple[int, int]:
    """Return a number of up to ``most`` bytes and the position behind it; what ``mask`` hides is ignored."""
    result = 0
    for index, byte in enumerate(buffer[position : position + most]):
        result |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            result &= mask
            return (result >> 1) ^ -(result & 1), position + index + 1
    raise ValueError("a number does not end")
