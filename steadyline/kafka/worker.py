"""One member of a consumer group that writes outputs and input offsets in one transaction."""

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

from kafka import ConsumerRebalanceListener, KafkaConsumer, OffsetAndMetadata, TopicPartition
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.errors import KafkaError
from kafka.structs import MemberState
from typing_extensions import override

from steadyline.kafka.broker import Message, Partition, Record, TransactionAborted
from steadyline.kafka.connection import (
    FETCH_BYTES,
    PARTITION_FETCH_BYTES,
    REQUEST_MS,
    client_options,
    translated,
)
from steadyline.kafka.private_api import HeldJoins, forget_committed_answers, known_positions
from steadyline.kafka.transaction import TRANSACTION_TIMEOUT, TransactionalProducer
from steadyline.settings import KafkaSettings

# The broker goes on refusing a refused generation for a while: the client says STABLE long before the group
# agrees.
REFUSED_SECONDS = 1.0
SETTLE_MS = 3_000
JOIN = timedelta(milliseconds=200)


class _Changes(ConsumerRebalanceListener):
    """Notes which partitions came and went; it runs on the client's IO thread, so it does little else.

    ``forget`` is called at every change, on that thread.
    """

    def __init__(self, forget: Callable[[], None]) -> None:
        self._forget = forget
        self._lock = threading.Lock()
        self._pending: set[TopicPartition] = set()

    def take(self) -> set[TopicPartition]:
        """Return what changed since the last call."""
        with self._lock:
            taken, self._pending = self._pending, set()
            return taken

    def touches(self, partitions: Iterable[TopicPartition]) -> bool:
        """Return True when one of ``partitions`` has changed since the last ``take``."""
        with self._lock:
            return not self._pending.isdisjoint(partitions)

    def _note(self, partitions: Iterable[TopicPartition]) -> None:
        self._forget()
        with self._lock:
            self._pending.update(partitions)

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
    """Implements ``Worker``; ``instance`` must be stable across restarts and unique among live workers.

    Membership is dynamic: a worker that closes hands its partitions over at once, where a static member's
    would lie idle until its session ends. Two live workers of one instance are told apart by their
    transactional id, which fences the older.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        group: str,
        instance: str,
        topics: Sequence[str],
        transaction_timeout: timedelta = TRANSACTION_TIMEOUT,
    ) -> None:
        self._changes = _Changes(self._forget_answers)
        self._refused: tuple[object, float] = (None, 0.0)
        self._lost: set[TopicPartition] = set()
        self._unsettled: set[TopicPartition] = set()  # these are read again from their committed offsets
        self._producer = TransactionalProducer(settings, f"{group}.{instance}", transaction_timeout)
        assignor: Any = CooperativeStickyAssignor()
        try:
            self._consumer: Any = KafkaConsumer(
                **client_options(settings, instance),
                group_id=group,
                enable_auto_commit=False,
                isolation_level="read_committed",
                auto_offset_reset="earliest",
                # pause() can stall a partition whose fetch was delivered in parts, so it is delivered whole.
                max_poll_records=100_000,
                max_partition_fetch_bytes=PARTITION_FETCH_BYTES,
                fetch_max_bytes=FETCH_BYTES,
                session_timeout_ms=6_000,
                heartbeat_interval_ms=500,
                max_poll_interval_ms=120_000,
                request_timeout_ms=REQUEST_MS,
                # A group leader that does not know a new topic assigns none of it; it looks again after this.
                metadata_max_age_ms=5_000,
                partition_assignment_strategy=[assignor],
            )
            self._joins = HeldJoins(self._consumer)
            for topic in topics:
                self._consumer.partitions_for_topic(topic)  # so that the first assignment knows it
        except KafkaError as error:
            raise translated(error, f"joining group {group}") from error
        self._consumer.subscribe(list(topics), listener=self._changes)

    def poll(self, wait: timedelta) -> Mapping[Partition, Sequence[Record]]:
        """Return new records.

        Records that arrive in the same poll in which their partition came or went may belong to the old or to
        the new assignment: they are discarded, and the partition is read again from its committed offset.
        """
        self._producer.open()  # this ends the transaction that a killed process with this id has left open
        self._settle()
        before = known_positions(self._consumer)
        try:
            self._joins.take_part(JOIN)
            polled = self._consumer.poll(timeout_ms=max(1, int(wait.total_seconds() * 1000)))
        except KafkaError as error:
            self._go_back(before)
            raise translated(error, "polling") from error
        changed = self._changes.take()
        self._lost |= changed
        self._unsettled |= changed & polled.keys()
        return {
            _ours(tp): [to_record(item) for item in records]
            for tp, records in polled.items()
            if tp not in self._unsettled
        }

    def take_lost(self) -> frozenset[Partition]:
        lost, self._lost = self._lost, set()
        return frozenset(_ours(tp) for tp in lost)

    def commit(self, messages: Sequence[Message], offsets: Mapping[Partition, int]) -> bool:
        # The generation is read first: a rebalance after this line makes the broker refuse it, and one before
        # this line is among the changes.
        group = self._consumer.group_metadata()
        member = tuple(group[1:3])
        if group.state is not MemberState.STABLE:
            return False
        if self._refused[0] == member and time.monotonic() < self._refused[1]:
            return False
        positions = {
            TopicPartition(item.topic, item.number): OffsetAndMetadata(offset, "", -1)
            for item, offset in offsets.items()
        }
        if self._changes.touches(positions) or not self._consumer.assignment() >= positions.keys():
            return False  # the loop drops the records of lost partitions on its next turn
        try:
            self._producer.commit(messages, positions, group)
        except TransactionAborted:
            self._refused = (member, time.monotonic() + REFUSED_SECONDS)
            raise
        return True

    def resync(self) -> None:
        self._forget_answers()
        self._unsettled = set(self._consumer.assignment())

    def _forget_answers(self) -> None:
        forget_committed_answers(self._consumer)

    def _go_back(self, before: Mapping[TopicPartition, int]) -> None:
        """Go back to the positions ``before``, at which the failed poll began.

        The client moves its positions before it asks for more records. An error that it raises then loses the
        records that it was about to return.
        """
        for tp in known_positions(self._consumer):
            if tp in before and not self._changes.touches([tp]):
                self._if_owned(partial(self._consumer.seek, offset=before[tp]), _ours(tp))
            else:
                self._lost.add(tp)
                self._unsettled.add(tp)

    def _settle(self) -> None:
        """Seek the unsettled partitions to their committed offsets; a seek that fails is tried again on the
        next poll.

        The producer must be open: a transaction of unknown outcome is over once its id is taken anew, and the
        committed offsets are final only then.
        """
        self._unsettled &= self._consumer.assignment()
        if not self._unsettled:
            return
        for tp in sorted(self._unsettled):
            try:
                committed = self._consumer.committed(tp, timeout_ms=SETTLE_MS)
                if committed is None:
                    self._consumer.seek_to_beginning(tp)
                else:
                    self._consumer.seek(tp, committed)
                self._consumer.resume(tp)
            except (KafkaError, AssertionError, KeyError):
                return  # the broker is away, or the partition has just gone
            self._unsettled.discard(tp)

    def pause(self, partition: Partition) -> None:
        self._if_owned(self._consumer.pause, partition)

    def resume(self, partition: Partition) -> None:
        self._if_owned(self._consumer.resume, partition)

    def close(self) -> None:
        self._producer.close()
        self._joins.release()
        try:
            self._consumer.close(timeout_ms=5_000)
        except (KafkaError, AssertionError):
            return  # the session timeout ends the membership

    @staticmethod
    def _if_owned(act: Callable[[TopicPartition], object], partition: Partition) -> None:
        try:
            act(TopicPartition(partition.topic, partition.number))
        except (KeyError, AssertionError):
            return  # the partition has just gone


def _ours(tp: TopicPartition) -> Partition:
    return Partition(tp.topic, tp.partition)


def to_record(record: Any) -> Record:
    """Return our record for a record of the client."""
    return Record(
        partition=Partition(record.topic, record.partition),
        offset=record.offset,
        key=record.key,
        value=record.value,
        headers=tuple((name, value or b"") for name, value in record.headers),
        timestamp_ms=record.timestamp,
    )
