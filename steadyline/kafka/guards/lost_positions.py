"""Positions that their topic does not have: said, counted, and reading goes on at what is kept."""

from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import LogTruncationError, OffsetOutOfRangeError

from steadyline.kafka import metrics
from steadyline.telemetry.logs import get_logger

log = get_logger(__name__)

CALL_MS = 10_000
POSITION_ERRORS = (OffsetOutOfRangeError, LogTruncationError)


def go_on_at_kept(consumer: KafkaConsumer, error: OffsetOutOfRangeError | LogTruncationError) -> None:
    """Seek the partitions of ``error`` to the first record that is kept, or to where the log was cut off.

    Raises KafkaError.
    """
    if isinstance(error, LogTruncationError):
        divergent = error.divergent_offsets
        positions = {tp: int(consumer.position(tp, timeout_ms=CALL_MS) or 0) for tp in divergent}
        ends = {tp: offset.offset for tp, offset in divergent.items() if offset is not None}
    else:
        positions, ends = dict(_positions_of(error)), {}
    begins = consumer.beginning_offsets(list(positions), timeout_ms=CALL_MS)
    for tp, position in positions.items():
        kept = ends.get(tp, begins[tp])
        say_lost(tp, position, kept, "the records there are deleted, or the log was cut off before them")
        consumer.seek(tp, kept)


def say_lost(tp: TopicPartition, position: int, kept: int, why: str) -> None:
    """Count and log that reading goes on at ``kept`` and not at ``position``."""
    skipped = max(0, kept - position)
    metrics.POSITIONS_LOST.add(1, topic=tp.topic)
    metrics.SKIPPED.add(skipped, topic=tp.topic)
    log.error(
        "position_lost",
        topic=tp.topic,
        partition=tp.partition,
        begin=position,
        end=kept,
        skipped=skipped,
        error=why,
    )


def _positions_of(error: OffsetOutOfRangeError) -> Any:
    return error.args[0] if error.args and isinstance(error.args[0], dict) else {}
