"""The message that a refused record becomes."""

from dataclasses import replace

from steadyline.contracts.topics import MAX_FRAME_BYTES
from steadyline.errors import PoisonMessage
from steadyline.kafka.broker import Message, Record

ERROR_CHARACTERS = 500
CUT_FROM = "cut-from"
HEADER_OVERHEAD = 10  # two lengths
CUT_KEY_BYTES, CUT_HEADER_BYTES = 1 << 10, 1 << 14
CUT_VALUE_BYTES = MAX_FRAME_BYTES - CUT_KEY_BYTES - CUT_HEADER_BYTES
ADDED = ("reason", "error", "source-topic", "source-partition", "source-offset")


def dead_letter(record: Record, error: PoisonMessage, topic: str) -> Message:
    """Return the record's bytes and headers untouched, with the reason and where it came from.

    Only a record that no letter can hold, because its producer had compressed it, is cut: to its first
    bytes, a short key and the first headers; ``cut-from`` then says how many bytes it had.
    """
    values = (
        error.reason,
        str(error)[:ERROR_CHARACTERS],
        record.partition.topic,
        str(record.partition.number),
        str(record.offset),
    )
    added = tuple((name, value.encode()) for name, value in zip(ADDED, values, strict=True))
    kept = record if _size(record) <= MAX_FRAME_BYTES else _cut(record)
    # The client writes no message without key and value, which other clients do: it would be a poison pill.
    value = b"" if kept.value is None and kept.key is None else kept.value
    return Message(topic, kept.key, value, kept.headers + added, record.partition.number)


def _size(record: Record) -> int:
    """Return the bytes of a record, near enough."""
    return len(record.value or b"") + len(record.key or b"") + sum(map(_header_size, record.headers))


def _header_size(header: tuple[str, bytes]) -> int:
    name, value = header
    return len(name.encode()) + len(value) + HEADER_OVERHEAD


def _cut(record: Record) -> Record:
    headers: list[tuple[str, bytes]] = []
    room = CUT_HEADER_BYTES
    for header in record.headers:
        room -= _header_size(header)
        if room < 0:
            break
        headers.append(header)
    headers.append((CUT_FROM, str(len(record.value or b"")).encode()))
    value = None if record.value is None else record.value[:CUT_VALUE_BYTES]
    key = None if record.key is None else record.key[:CUT_KEY_BYTES]
    return replace(record, value=value, key=key, headers=tuple(headers))
