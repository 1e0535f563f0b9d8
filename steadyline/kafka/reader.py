"""Reading topics without a group, committed records only."""

import time
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from steadyline.errors import BrokerUnavailable, ContractBroken
from steadyline.kafka.broker import Record
from steadyline.kafka.connection import REQUEST_MS, client_options, translated
from steadyline.kafka.worker import to_record
from steadyline.settings import KafkaSettings

CALL_MS = 10_000
STALL_SECONDS = 30.0


class KafkaReader:
    """See ``Reader``; one consumer for each topic that is followed."""

    def __init__(self, settings: KafkaSettings, client: str) -> None:
        self._settings, self._client = settings, client
        self._following: dict[str, KafkaConsumer] = {}
        self._first_ends: dict[str, dict[TopicPartition, int]] = {}

    def read(self, topic: str, since: datetime | None = None) -> Iterator[Record]:
        consumer = self._consumer(topic)
        try:
            ends = consumer.end_offsets(sorted(consumer.assignment()), timeout_ms=CALL_MS)
            if since is not None:
                self._seek_since(consumer, ends, since)
            yield from _read_to(consumer, ends, topic)
        except KafkaError as error:
            raise translated(error, f"reading {topic}") from error
        finally:
            _close(consumer)

    def follow(self, topic: str, wait: timedelta) -> Sequence[Record]:
        if topic not in self._following:
            consumer = self._consumer(topic)
            try:
                ends = consumer.end_offsets(sorted(consumer.assignment()), timeout_ms=CALL_MS)
            except KafkaError as error:
                _close(consumer)
                raise translated(error, f"reading {topic}") from error
            self._following[topic], self._first_ends[topic] = consumer, ends
        try:
            polled = self._following[topic].poll(timeout_ms=max(1, int(wait.total_seconds() * 1000)))
        except KafkaError as error:
            raise translated(error, f"following {topic}") from error
        return [to_record(item) for records in polled.values() for item in records]

    def is_at_end(self, topic: str) -> bool:
        consumer = self._following.get(topic)
        if consumer is None:
            return False
        try:
            return all(
                _position(consumer, partition) >= end for partition, end in self._first_ends[topic].items()
            )
        except KafkaError as error:
            raise translated(error, f"following {topic}") from error

    def close(self) -> None:
        for consumer in self._following.values():
            _close(consumer)
        self._following.clear()

    def _consumer(self, topic: str) -> KafkaConsumer:
        try:
            consumer = KafkaConsumer(
                **client_options(self._settings, self._client),
                group_id=None,
                enable_auto_commit=False,
                isolation_level="read_committed",
                auto_offset_reset="earliest",
                max_poll_records=100_000,
                max_partition_fetch_bytes=1 << 20,
                fetch_max_bytes=16 << 20,
                request_timeout_ms=REQUEST_MS,
            )
            partitions = consumer.partitions_for_topic(topic)
        except KafkaError as error:
            raise translated(error, f"reading {topic}") from error
        if not partitions:
            _close(consumer)
            raise ContractBroken(f"topic {topic} is missing: run `steadyline topics create`")
        assigned = [TopicPartition(topic, number) for number in sorted(partitions)]
        consumer.assign(assigned)
        consumer.seek_to_beginning(*assigned)
        return consumer

    @staticmethod
    def _seek_since(consumer: KafkaConsumer, ends: dict[TopicPartition, int], since: datetime) -> None:
        moment = int(since.timestamp() * 1000)
        found = consumer.offsets_for_times(dict.fromkeys(ends, moment), timeout_ms=CALL_MS)
        for partition, end in ends.items():
            offset = found.get(partition)
            consumer.seek(partition, end if offset is None else offset.offset)


def _read_to(consumer: KafkaConsumer, ends: dict[TopicPartition, int], topic: str) -> Iterator[Record]:
    """Yield until every partition's position has reached its end; markers of transactions count as read."""
    open_ = {partition: end for partition, end in ends.items() if _position(consumer, partition) < end}
    advanced = time.monotonic()
    while open_:
        polled = consumer.poll(timeout_ms=200)
        if polled:
            advanced = time.monotonic()
        for partition, records in polled.items():
            for item in records:
                if item.offset < ends[partition]:
                    yield to_record(item)
        positions = {partition: _position(consumer, partition) for partition in open_}
        open_ = {partition: end for partition, end in open_.items() if positions[partition] < end}
        if time.monotonic() - advanced > STALL_SECONDS:
            raise BrokerUnavailable(
                f"reading {topic} does not advance: a transaction may be open, or the broker is away"
            )


def _position(consumer: KafkaConsumer, partition: TopicPartition) -> int:
    position = consumer.position(partition, timeout_ms=CALL_MS)
    return -1 if position is None else int(position)


def _close(consumer: KafkaConsumer) -> None:
    try:
        consumer.close(autocommit=False, timeout_ms=3_000)
    except (KafkaError, AssertionError):
        return
