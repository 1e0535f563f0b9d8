"""Dead letters as anyone may read them, and the message that replays one."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

from typing_extensions import override

from steadyline.contracts.dead_letter import ERROR_CHARACTERS, DeadLetter, split_headers
from steadyline.contracts.frame import FrameId
from steadyline.errors import MalformedHeaders
from steadyline.kafka.broker import Message, Record
from steadyline.kafka.record_times import moment_of

REPLAYED_FROM = "replayed-from"
NAME_CHARACTERS = 249  # of a reason, a topic or a camera: the longest name of a topic


class TopicPosition(NamedTuple):
    """Where a record lies on its topic."""

    partition: int
    offset: int

    @override
    def __str__(self) -> str:
        return f"{self.partition}/{self.offset}"

    @staticmethod
    def parse(text: str) -> "TopicPosition | None":
        """Return the place that ``partition/offset`` names; None when it names none."""
        partition, _, offset = text.partition("/")
        if all(part.isascii() and part.isdigit() and len(part) < 19 for part in (partition, offset)):
            return TopicPosition(int(partition), int(offset))
        return None


@dataclass(frozen=True, slots=True)
class Letter:
    """One dead letter.

    ``frame`` is None when the headers name none; ``replayed_from`` is the earlier letter whose replay this
    is. ``camera`` is the one that the frame, its headers or its key name, and empty when none does. Texts are
    cut, for anybody may write any length.
    """

    record: Record
    place: TopicPosition
    source: TopicPosition | None
    source_topic: str
    reason: str
    error: str
    camera: str
    frame: FrameId | None
    replayed_from: TopicPosition | None
    size: int

    @property
    def at(self) -> datetime:
        """Return when the frame was refused."""
        return moment_of(self.record)

    def without_bytes(self) -> "Letter":
        """Return the letter without value, key and headers, so that many can be kept."""
        return replace(self, record=replace(self.record, key=None, value=None, headers=()))


def read_letter(record: Record) -> Letter:
    """Return the letter of a record; in a letter that is not ours, whatever the headers lack is empty."""
    try:
        ours = DeadLetter.decode(record.value, record.headers, record.key)
    except MalformedHeaders:
        return _foreign_letter(record)
    source = TopicPosition.parse(f"{ours.source_partition}/{ours.source_offset}")
    return _letter(record, source, ours.source_topic, ours.reason, ours.error)


def _foreign_letter(record: Record) -> Letter:
    """Return what can be read of a letter that breaks the contract, as anybody may write to the topic."""
    headers = texts(record)
    source = TopicPosition.parse(f"{headers.get('source-partition')}/{headers.get('source-offset')}")
    reason, error = headers.get("reason", "unknown"), headers.get("error", "")
    return _letter(record, source, headers.get("source-topic", ""), reason, error)


def _letter(
    record: Record, source: TopicPosition | None, source_topic: str, reason: str, error: str
) -> Letter:
    headers = texts(record)
    frame = frame_of(headers)
    named = headers.get("camera") or (record.key or b"").decode(errors="replace")
    return Letter(
        record=record,
        place=place_of(record),
        source=source,
        source_topic=source_topic[:NAME_CHARACTERS],
        reason=reason[:NAME_CHARACTERS],
        error=error[:ERROR_CHARACTERS],
        camera=frame.camera if frame is not None else named[:NAME_CHARACTERS],
        frame=frame,
        replayed_from=TopicPosition.parse(headers.get(REPLAYED_FROM, "")),
        size=len(record.value or b""),
    )


def replay(letter: Letter, topic: str) -> Message:
    """Return the refused frame as it was, with the same bytes, key, headers and partition.

    A header says which letter it comes from. The headers that the loop had added are removed.
    """
    refused, _ = split_headers(letter.record.headers)
    headers = [(name, value) for name, value in refused if name != REPLAYED_FROM]
    headers.append((REPLAYED_FROM, str(letter.place).encode()))
    partition = letter.source.partition if letter.source else None
    return Message(topic, letter.record.key, letter.record.value, tuple(headers), partition)


def place_of(record: Record) -> TopicPosition:
    """Return where the record lies."""
    return TopicPosition(record.partition.number, record.offset)


def texts(record: Record) -> dict[str, str]:
    """Return the headers as text, the last one of a repeated name; bytes that are not UTF-8 are replaced."""
    return {name: value.decode(errors="replace") for name, value in record.headers}


def frame_of(headers: dict[str, str]) -> FrameId | None:
    """Return the frame that the headers name, as far as they name one."""
    try:
        return FrameId.parse(headers.get("ce_id", ""))
    except MalformedHeaders:
        return None
