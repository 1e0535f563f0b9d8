"""What a backup needs of Kafka beyond our protocols: notes of groups, and records with their own time."""

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kafka import KafkaAdminClient, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, OffsetSpec
from kafka.errors import CoordinatorNotAvailableError, GroupIdNotFoundError, KafkaError
from kafka.structs import OffsetAndMetadata

from steadyline.contracts.topics import MAX_REQUEST_BYTES
from steadyline.errors import BrokerUnavailable, ContractBroken
from steadyline.kafka.broker import Partition, Record
from steadyline.kafka.client.connection import REQUEST_MS, client_options, translated
from steadyline.kafka.client.private_api import written_headers
from steadyline.kafka.client.private_net import opened
from steadyline.settings import KafkaSettings

IN_FLIGHT = 500  # records that are not acknowledged yet
BLOCK_MS = 60_000
MARKER_SECONDS = 0.005  # between two looks at the marker of a transaction
TRIES, BETWEEN_SECONDS = 40, 0.25  # until a new broker has made its topic of positions


class KafkaRestorer:
    """Reads and writes positions with their notes, and writes records at given offsets; for one thread.

    ``client`` is its transactional id too: a second one of that name ends the first.
    """

    def __init__(self, settings: KafkaSettings, client: str) -> None:
        self._settings, self._client = settings, client
        self._plain: Any = None
        self._transactional: Any = None
        self._futures: list[Any] = []
        try:
            options = client_options(settings, client)
            self._admin: Any = opened(KafkaAdminClient, **options, request_timeout_ms=REQUEST_MS)
        except KafkaError as error:
            raise translated(error, "connecting an administrator") from error

    def live_members(self, group: str) -> int:
        """Return how many members a group has at present."""
        try:
            found = self._admin.describe_groups([group]).get(group, {})
        except (CoordinatorNotAvailableError, GroupIdNotFoundError):
            return 0
        except KafkaError as error:
            raise translated(error, f"asking for the members of {group}") from error
        return len(found.get("members", ()))

    def positions(self, group: str) -> dict[Partition, tuple[int, str]]:
        """Return the committed offset of each partition, and the note beside it."""
        try:
            found = self._admin.list_group_offsets(group).get(group, {})
        except CoordinatorNotAvailableError:
            return {}
        except KafkaError as error:
            raise translated(error, f"asking for the positions of {group}") from error
        rows = {Partition(tp.topic, tp.partition): (kept.offset, kept.metadata) for tp, kept in found.items()}
        return {place: (offset, note or "") for place, (offset, note) in rows.items() if offset >= 0}

    def commit(self, group: str, positions: Mapping[Partition, tuple[int, str]]) -> None:
        """Write the positions of a group that has no members."""
        rows = {
            TopicPartition(place.topic, place.number): OffsetAndMetadata(offset, note, -1)
            for place, (offset, note) in positions.items()
        }
        for attempt in range(TRIES):
            try:
                answer = self._admin.alter_group_offsets(group, rows)
                break
            except CoordinatorNotAvailableError as error:
                if attempt == TRIES - 1:
                    raise translated(error, f"writing the positions of {group}") from error
                time.sleep(BETWEEN_SECONDS)
            except KafkaError as error:
                raise translated(error, f"writing the positions of {group}") from error
        for tp, kind in answer.items():
            if kind.errno != 0:
                raise ContractBroken(f"writing the position of {group} on {tp.topic}: {kind.__name__}")

    def open_topics(self, topics: Sequence[str]) -> None:
        """Let records bring their own time, and nothing be cleaned up, until the topics are mended."""
        setting = {
            "message.timestamp.type": "CreateTime",
            "cleanup.policy": "delete",
            "retention.ms": "-1",
        }
        rows = [ConfigResource(ConfigResourceType.TOPIC, name, setting) for name in topics]
        try:
            self._admin.alter_configs(rows)
        except KafkaError as error:
            raise translated(error, "setting the topics") from error

    def write(self, records: Iterable[Record]) -> None:
        """Write records in order to their partitions, with their times; ``settle`` waits for the last."""
        for record in records:
            self._send(self._producer(), record)

    def settle(self) -> None:
        """Wait until all that was written is on its topic."""
        futures, self._futures = self._futures, []
        for future in futures:
            try:
                future.get(timeout=BLOCK_MS / 1000)
            except KafkaError as error:
                raise translated(error, "restoring records") from error

    def end_transaction(self, records: Sequence[Record], is_kept: bool) -> None:
        """Write records of one partition in a transaction, which is committed or aborted: its marker takes
        one offset more.

        The broker writes the marker after it has answered, so it is waited for: what is written next would
        come before it.
        """
        partition = records[0].partition
        end = self._end(partition) + len(records) + 1
        producer = self._transactions()
        try:
            producer.begin_transaction()
            for record in records:
                self._send(producer, record)
            producer.flush()
            self.settle()
            if is_kept:
                producer.commit_transaction()
            else:
                producer.abort_transaction()
        except KafkaError as error:
            raise translated(error, "restoring records") from error
        last = time.monotonic() + BLOCK_MS / 1000
        while self._end(partition) < end:
            if time.monotonic() > last:
                raise BrokerUnavailable(f"restoring {partition.topic}: the end of a transaction is missing")
            time.sleep(MARKER_SECONDS)

    def delete_before(self, partition: Partition, offset: int) -> None:
        """Remove the records of a partition before an offset."""
        try:
            self._admin.delete_records({TopicPartition(partition.topic, partition.number): offset})
        except KafkaError as error:
            raise translated(error, f"deleting of {partition.topic}") from error

    def close(self) -> None:
        """Close all connections."""
        for client in (self._plain, self._transactional):
            if client is not None:
                client.close(timeout=5)
        self._admin.close()

    def _end(self, partition: Partition) -> int:
        tp = TopicPartition(partition.topic, partition.number)
        try:
            return int(self._admin.list_partition_offsets({tp: OffsetSpec.LATEST})[tp].offset)
        except KafkaError as error:
            raise translated(error, f"asking for the end of {partition.topic}") from error

    def _send(self, producer: Any, record: Record) -> None:
        try:
            future = producer.send(
                record.partition.topic,
                # The client writes no record without both; nothing stands for nothing.
                value=b"" if record.key is None and record.value is None else record.value,
                key=record.key,
                headers=written_headers(record.headers),
                partition=record.partition.number,
                timestamp_ms=record.timestamp_ms,
            )
        except KafkaError as error:
            raise translated(error, f"restoring {record.partition.topic}") from error
        self._futures.append(future)
        if len(self._futures) >= IN_FLIGHT:
            self.settle()

    def _producer(self) -> Any:
        if self._plain is None:
            self._plain = self._open(enable_idempotence=True)
        return self._plain

    def _transactions(self) -> Any:
        if self._transactional is None:
            self._transactional = self._open(transactional_id=self._client)
            try:
                self._transactional.init_transactions()
            except KafkaError as error:
                raise translated(error, f"opening transactions of {self._client}") from error
        return self._transactional

    def _open(self, **more: Any) -> Any:
        try:
            return opened(
                KafkaProducer,
                **client_options(self._settings, self._client),
                acks="all",
                batch_size=1 << 20,
                linger_ms=2,
                max_request_size=MAX_REQUEST_BYTES,
                max_block_ms=BLOCK_MS,
                **more,
            )
        except KafkaError as error:
            raise translated(error, "connecting a producer") from error
