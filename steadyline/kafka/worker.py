"""One member of a consumer group that writes outputs and input offsets in one transaction."""

import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from kafka import ConsumerRebalanceListener, KafkaConsumer, OffsetAndMetadata, TopicPartition
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.errors import KafkaError
from kafka.structs import MemberState
from typing_extensions import override

from steadyline.kafka.broker import Message, Partition, Record, TransactionAborted
from steadyline.kafka.connection import REQUEST_MS, client_options, translated
from steadyline.kafka.transaction import TransactionalProducer
from steadyline.settings import KafkaSettings

# A refused generation is refused for a while: the client says STABLE long before the group agrees.
REFUSED_SECONDS = 1.0


class _Changes(ConsumerRebalanceListener):
    """Notes which partitions came and went; runs on the client's IO thread, so it does nothing else."""

    def __init__(self) -> None:
        self.changed: set[Partition] = set()

    def _note(self, partitions: Iterable[TopicPartition]) -> None:
        self.changed.update(Partition(item.topic, item.partition) for item in partitions)

    @override
    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        self._note(revoked)

    @override
    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        self._note(assigned)

    @override
    def on_partitions_lost(self, lost: Iterable[TopicPartition]) -> None:
        self._note(lost)


class KafkaWorker:
    """See ``Worker``. ``instance`` must be stable across restarts and unique among live workers.

    Membership is dynamic: a worker that closes hands its partitions over at once, where a static member's
    would lie idle until its session ends. Two live workers of one instance are told apart by their
    transactional id, which fences the older.
    """

    def __init__(self, settings: KafkaSettings, group: str, instance: str, topics: Sequence[str]) -> None:
        self._changes = _Changes()
        self._refused: tuple[object, float] = (None, 0.0)
        self._resyncing: set[TopicPartition] = set()
        self._producer = TransactionalProducer(settings, f"{group}.{instance}")
        assignor: Any = CooperativeStickyAssignor()
        try:
            self._consumer: Any = KafkaConsumer(
                **client_options(settings, instance),
                group_id=group,
                enable_auto_commit=False,
                isolation_level="read_committed",
                auto_offset_reset="earliest",
                # pause() can stall a partition whose fetch was delivered in parts: deliver it whole.
                max_poll_records=100_000,
                max_partition_fetch_bytes=1 << 20,
                fetch_max_bytes=16 << 20,
                session_timeout_ms=6_000,
                heartbeat_interval_ms=500,
                max_poll_interval_ms=120_000,
                request_timeout_ms=REQUEST_MS,
                # A leader that has not heard of a new topic assigns none of it, and looks again after this.
                metadata_max_age_ms=5_000,
                partition_assignment_strategy=[assignor],
            )
            for topic in topics:
                self._consumer.partitions_for_topic(topic)  # so that the first assignment knows it
        except KafkaError as error:
            raise translated(error, f"joining group {group}") from error
        self._consumer.subscribe(list(topics), listener=self._changes)

    def poll(self, wait: timedelta) -> Mapping[Partition, Sequence[Record]]:
        try:
            polled = self._consumer.poll(timeout_ms=max(1, int(wait.total_seconds() * 1000)))
        except KafkaError as error:
            raise translated(error, "polling") from error
        return {
            Partition(tp.topic, tp.partition): [to_record(item) for item in records]
            for tp, records in polled.items()
            if tp not in self._resyncing
        }

    def take_lost(self) -> frozenset[Partition]:
        changed, self._changes.changed = self._changes.changed, set()
        for partition in changed:
            self._resyncing.discard(TopicPartition(partition.topic, partition.number))
        return frozenset(changed)

    def commit(self, messages: Sequence[Message], offsets: Mapping[Partition, int]) -> bool:
        group = self._consumer.group_metadata()
        member = tuple(group[1:3])
        if group.state is not MemberState.STABLE:
            return False
        if self._refused[0] == member and time.monotonic() < self._refused[1]:
            return False
        owned = self._consumer.assignment()
        if not all(TopicPartition(item.topic, item.number) in owned for item in offsets):
            return False  # the loop drops their lanes on its next turn
        positions = {
            TopicPartition(item.topic, item.number): OffsetAndMetadata(offset, "", -1)
            for item, offset in offsets.items()
        }
        try:
            self._producer.commit(messages, positions, group)
        except TransactionAborted:
            self._refused = (member, time.monotonic() + REFUSED_SECONDS)
            raise
        return True

    def resync(self) -> bool:
        """Seek to the committed offsets; goes on where an earlier call stopped. False: call again."""
        owned = set(self._consumer.assignment())
        if not self._resyncing:
            self._resyncing = set(owned)
        self._resyncing &= owned
        for partition in list(self._resyncing):
            try:
                committed = self._consumer.committed(partition, timeout_ms=3_000)
                if committed is None:
                    self._consumer.seek_to_beginning(partition)
                else:
                    self._consumer.seek(partition, committed)
                self._consumer.resume(partition)
            except (KafkaError, AssertionError, KeyError):
                return False
            self._resyncing.discard(partition)
        return True

    def pause(self, partition: Partition) -> None:
        tp = TopicPartition(partition.topic, partition.number)
        if tp in self._consumer.assignment():
            self._consumer.pause(tp)

    def resume(self, partition: Partition) -> None:
        tp = TopicPartition(partition.topic, partition.number)
        if tp in self._consumer.assignment():
            self._consumer.resume(tp)

    def close(self) -> None:
        self._producer.close()
        try:
            self._consumer.close(timeout_ms=5_000)
        except (KafkaError, AssertionError):
            return  # the session timeout ends the membership


def to_record(record: Any) -> Record:
    """Return our record for one of the client's."""
    return Record(
        partition=Partition(record.topic, record.partition),
        offset=record.offset,
        key=record.key,
        value=record.value,
        headers=tuple((name, value or b"") for name, value in record.headers),
        timestamp_ms=record.timestamp,
    )
