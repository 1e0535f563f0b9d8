"""The records of one partition as a file: each with its offset, its time, its key, value and headers."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from steadyline.errors import ContractBroken
from steadyline.kafka.broker import Partition, Record

_HEAD = struct.Struct(">qqiiI")  # offset, time in ms, bytes of key and value (-1: none), number of headers
_HEADER = struct.Struct(">ii")  # bytes of name and value
_NONE = -1


def write_record(file: BinaryIO, record: Record) -> None:
    """Append one record."""
    lengths = (_NONE if part is None else len(part) for part in (record.key, record.value))
    file.write(_HEAD.pack(record.offset, record.timestamp_ms, *lengths, len(record.headers)))
    file.write((record.key or b"") + (record.value or b""))
    for name, value in record.headers:
        text = name.encode("utf-8", "surrogateescape")
        file.write(_HEADER.pack(len(text), len(value)) + text + value)


def read_records(path: Path, partition: Partition) -> Iterator[Record]:
    """Yield the records of a file in order; raises ContractBroken when the file ends within one."""
    with path.open("rb") as file:
        while head := file.read(_HEAD.size):
            if len(head) < _HEAD.size:
                raise ContractBroken(f"{path} ends within a record: it is no whole backup")
            offset, time_ms, key_bytes, value_bytes, count = _HEAD.unpack(head)
            key, value = _part(file, key_bytes, path), _part(file, value_bytes, path)
            headers = tuple(_header(file, path) for _ in range(count))
            yield Record(partition, offset, key, value, headers, time_ms)


def _header(file: BinaryIO, path: Path) -> tuple[str, bytes]:
    name_bytes, value_bytes = _HEADER.unpack(_part(file, _HEADER.size, path) or b"")
    name = (_part(file, name_bytes, path) or b"").decode("utf-8", "surrogateescape")
    return name, _part(file, value_bytes, path) or b""


def _part(file: BinaryIO, count: int, path: Path) -> bytes | None:
    if count == _NONE:
        return None
    data = file.read(count)
    if len(data) < count:
        raise ContractBroken(f"{path} ends within a record: it is no whole backup")
    return data
