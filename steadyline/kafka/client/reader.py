"""Reads the committed records of topics, without a consumer group."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from steadyline.errors import BrokerUnavailable
from steadyline.kafka.broker import Partition, Record
from steadyline.kafka.client.connection import (
    FETCH_BYTES,
    PARTITION_FETCH_BYTES,
    REQUEST_MS,
    client_options,
    translated,
)
from steadyline.kafka.client.private_api import polled_records, read_tolerantly
from steadyline.kafka.client.private_net import opened
from steadyline.kafka.guards.deadline import CallThread
from steadyline.kafka.guards.lost_positions import POSITION_ERRORS, go_on_at_kept
from steadyline.kafka.guards.watched_topics import WatchedTopics
from steadyline.settings import KafkaSettings

CALL_MS = 10_000
METADATA_MS = 5_000  # after which a topic that was made anew or has grown is noticed
STALL_SECONDS = 30.0
POLL = timedelta(milliseconds=200)


class KafkaReader:
    """Implements ``Reader``; each read has a consumer of its own.

    ``end_offsets`` counts the records that open transactions have written: a reader of committed records
    reaches those ends when the transactions end.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        client: str,
        end_offsets: Callable[[Sequence[str]], dict[Partition, int]],
    ) -> None:
        self._settings, self._client, self._end_offsets = settings, client, end_offsets

    def read(
        self,
        topic: str,
        since: datetime | None = None,
        start: Mapping[Partition, int] | None = None,
        until: datetime | None = None,
    ) -> Iterator[Record]:
        ends = self._ends(topic)
        try:
            consumer = open_consumer(self._settings, self._client, ends)
        except KafkaError as error:
            raise translated(error, f"reading {topic}") from error
        calls = CallThread(self._client)
        try:
            if until is not None:
                ends = _offsets_at(consumer, ends, until)
            if since is not None:
                for partition, offset in _offsets_at(consumer, ends, since).items():
                    consumer.seek(partition, offset)
            for place, offset in (start or {}).items():
                if place.topic == topic:
                    consumer.seek(TopicPartition(topic, place.number), offset)
            yield from _read_to(calls, consumer, ends, topic)
        except KafkaError as error:
            raise translated(error, f"reading {topic}") from error
        finally:
            calls.close()
            if not calls.is_hung:
                close_consumer(consumer)

    def close(self) -> None:
        """Do nothing, because nothing stays open between two reads."""

    def _ends(self, topic: str) -> dict[TopicPartition, int]:
        ends = self._end_offsets([topic])
        return {TopicPartition(place.topic, place.number): end for place, end in ends.items()}


def _offsets_at(
    consumer: KafkaConsumer, ends: dict[TopicPartition, int], moment: datetime
) -> dict[TopicPartition, int]:
    """Return each partition's first offset with a record not older than ``moment``; its end without one."""
    milliseconds = int(moment.timestamp() * 1000)
    found = consumer.offsets_for_times(dict.fromkeys(ends, milliseconds), timeout_ms=CALL_MS)
    offsets = {partition: found.get(partition) for partition in ends}
    return {
        partition: ends[partition] if offset is None else min(ends[partition], offset.offset)
        for partition, offset in offsets.items()
    }


def _read_to(
    calls: CallThread, consumer: KafkaConsumer, ends: dict[TopicPartition, int], topic: str
) -> Iterator[Record]:
    """Yield records until each partition's position is at its end; transaction markers count as read."""
    watched = WatchedTopics(consumer, [topic])
    left = {partition for partition, end in ends.items() if _position(consumer, partition) < end}
    consumer.pause(*(ends.keys() - left))
    advanced = time.monotonic()
    while left:
        try:
            polled = polled_records(calls, consumer, POLL)
        except POSITION_ERRORS as error:
            go_on_at_kept(consumer, error)
            polled = {}
        watched.check()
        for partition, records in polled.items():
            yield from (item for item in records if item.offset < ends[partition])
        done = {partition for partition in left if _position(consumer, partition) >= ends[partition]}
        consumer.pause(*done)
        left -= done
        if polled or done:
            advanced = time.monotonic()
        elif time.monotonic() - advanced > STALL_SECONDS:
            raise BrokerUnavailable(
                f"reading {topic} does not advance: a transaction may be open, or the broker is away"
            )


def _position(consumer: KafkaConsumer, partition: TopicPartition) -> int:
    position = consumer.position(partition, timeout_ms=CALL_MS)
    return -1 if position is None else int(position)


def open_consumer(
    settings: KafkaSettings, client: str, partitions: Iterable[TopicPartition]
) -> KafkaConsumer:
    """Return a consumer without a group that stands at the beginning of ``partitions`` and reads only
    committed records.

    Raises KafkaError.
    """
    consumer = opened(
        KafkaConsumer,
        **client_options(settings, client),
        group_id=None,
        enable_auto_commit=False,
        isolation_level="read_committed",
        auto_offset_reset="none",  # a position that is lost is said, see lost_positions
        metadata_max_age_ms=METADATA_MS,
        max_poll_records=100_000,
        max_partition_fetch_bytes=PARTITION_FETCH_BYTES,
        fetch_max_bytes=FETCH_BYTES,
        request_timeout_ms=REQUEST_MS,
    )
    read_tolerantly(consumer)
    assigned = sorted(partitions)
    consumer.assign(assigned)
    consumer.seek_to_beginning(*assigned)
    return consumer


def close_consumer(consumer: KafkaConsumer) -> None:
    """Close without waiting for a broker that is away."""
    try:
        consumer.close(autocommit=False, timeout_ms=3_000)
    except (KafkaError, AssertionError):
        return
