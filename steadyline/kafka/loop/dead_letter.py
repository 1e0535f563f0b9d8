"""The message that a refused record becomes."""

from steadyline.contracts.dead_letter import DeadLetter
from steadyline.errors import PoisonMessage
from steadyline.kafka.broker import Message, Record


def dead_letter(record: Record, error: PoisonMessage, topic: str, is_short: bool = False) -> Message:
    """Return the letter of a refused record as a message for ``topic``, on the record's partition.

    Bytes and headers are untouched, but for a record that is too large: see ``DeadLetter.fitted``. With
    ``is_short`` it has but the beginning of them, for a topic that has refused the whole letter.
    """
    letter = DeadLetter(
        value=record.value,
        headers=record.headers,
        reason=error.reason,
        error=str(error),
        source_topic=record.partition.topic,
        source_partition=record.partition.number,
        source_offset=record.offset,
        key=record.key,
        cut_from=record.cut_from,
    )
    letter = letter.abridged() if is_short else letter.fitted()
    return Message(topic, letter.key, letter.value, letter.encode_headers(), letter.source_partition)
