"""One member of a consumer group that writes outputs and input offsets in one transaction."""

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

from kafka import ConsumerRebalanceListener, KafkaConsumer, OffsetAndMetadata, TopicPartition
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.errors import KafkaError, LogTruncationError, NoOffsetForPartitionError, OffsetOutOfRangeError
from kafka.structs import MemberState
from typing_extensions import override

from steadyline.errors import BrokerUnavailable
from steadyline.kafka.broker import Message, OutputRefused, Partition, Record, TransactionAborted
from steadyline.kafka.client.connection import (
    FETCH_BYTES,
    PARTITION_FETCH_BYTES,
    REQUEST_MS,
    client_options,
    is_refused,
    translated,
)
from steadyline.kafka.client.private_api import (
    HeldJoins,
    forget_committed_answers,
    known_positions,
    polled_records,
    read_tolerantly,
)
from steadyline.kafka.client.private_net import opened
from steadyline.kafka.client.transaction import TRANSACTION_TIMEOUT, TransactionalProducer
from steadyline.kafka.guards.committed import CommittedNote
from steadyline.kafka.guards.deadline import CallThread
from steadyline.kafka.guards.lost_positions import POSITION_ERRORS, go_on_at_kept, say_lost
from steadyline.kafka.guards.members import group_members
from steadyline.kafka.guards.offset_floor import OffsetFloor
from steadyline.kafka.guards.offset_wait import OffsetWait
from steadyline.kafka.guards.standstill import StandstillWatch
from steadyline.kafka.guards.watched_topics import FixedPartitions, WatchedTopics
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
        self._calls = CallThread(instance)
        self._members = partial(group_members, settings, instance, group)
        self._notes: dict[TopicPartition, str] = {}
        self._standstill = StandstillWatch()
        self._waiting = OffsetWait()
        self._floor = OffsetFloor()
        assignor: Any = CooperativeStickyAssignor()
        try:
            self._consumer: Any = opened(
                KafkaConsumer,
                **client_options(settings, instance),
                group_id=group,
                enable_auto_commit=False,
                isolation_level="read_committed",
                auto_offset_reset="none",  # a position that is lost is said, see lost_positions
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
            read_tolerantly(self._consumer)
            self._joins = HeldJoins(self._consumer)
            for topic in topics:
                self._consumer.partitions_for_topic(topic)  # so that the first assignment knows them
            self._topics = WatchedTopics(self._consumer, topics)
            self._fixed = FixedPartitions(self._topics.partitions())
        except KafkaError as error:
            raise translated(error, f"joining group {group}") from error
        self._consumer.subscribe(list(topics), listener=self._changes)

    def poll(self, wait: timedelta) -> Mapping[Partition, Sequence[Record]]:
        """Return new records.

        Records that arrive in the same poll in which their partition came or went may belong to the old or to
        the new assignment: they are discarded. A partition is read from its committed offset once this is
        known, with the note beside it.
        """
        self._producer.open()  # this ends the transaction that a killed process with this id has left open
        self._topics.check()
        self._settle()
        before = known_positions(self._consumer)
        try:
            self._joins.take_part(JOIN)
            polled = polled_records(self._calls, self._consumer, wait)
        except NoOffsetForPartitionError:
            polled = {}  # of a partition that has just come and is settled next
        except POSITION_ERRORS as error:
            self._go_back(before)
            polled = self._without_lost_positions(error)
        except KafkaError as error:
            self._go_back(before)
            raise translated(error, "polling") from error
        changed = self._changes.take()
        self._lost |= changed
        self._unsettled |= changed
        self._topics.check()
        self._fixed.check([*self._topics.partitions(), *self._consumer.assignment()])
        self._standstill.look_at(self._consumer)
        return {_ours(tp): records for tp, records in polled.items() if tp not in self._unsettled}

    def _without_lost_positions(
        self, error: OffsetOutOfRangeError | LogTruncationError
    ) -> dict[TopicPartition, list[Record]]:
        try:
            go_on_at_kept(self._consumer, error)
        except KafkaError as second:
            raise translated(second, "polling") from second
        return {}

    @property
    def trouble(self) -> BrokerUnavailable | None:
        return self._waiting.trouble(time.monotonic())

    def take_lost(self) -> frozenset[Partition]:
        lost, self._lost = self._lost, set()
        return frozenset(_ours(tp) for tp in lost)

    @property
    def assigned(self) -> frozenset[Partition]:
        return frozenset(_ours(tp) for tp in self._consumer.assignment())

    @property
    def member(self) -> str:
        return str(self._consumer.group_metadata().member_id)

    def members(self) -> frozenset[str]:
        return self._members()

    def note(self, partition: Partition) -> str:
        return self._notes.get(_theirs(partition), "")

    def mark(self, partition: Partition, offset: int, note: str) -> bool:
        tp = _theirs(partition)
        if self._consumer.group_metadata().state is not MemberState.STABLE or not self._holds([tp]):
            return False
        try:
            self._consumer.commit({tp: self._with_note(tp, offset, note)}, timeout_ms=SETTLE_MS)
        except KafkaError as error:
            if is_refused(error):
                raise translated(error, f"marking {partition}") from error
            return False
        self._notes[tp] = note
        return True

    def commit(
        self,
        messages: Sequence[Message],
        offsets: Mapping[Partition, int],
        notes: Mapping[Partition, str] | None = None,
    ) -> bool:
        # The generation is read first: a rebalance after this line makes the broker refuse it, and one before
        # this line is among the changes.
        group = self._consumer.group_metadata()
        member = tuple(group[1:3])
        if group.state is not MemberState.STABLE:
            return False
        if self._refused[0] == member and time.monotonic() < self._refused[1]:
            return False
        texts = {_theirs(item): (notes or {}).get(item, "") for item in offsets}
        positions = {
            tp: self._with_note(tp, offset, text)
            for (tp, text), offset in zip(texts.items(), offsets.values(), strict=True)
        }
        if not self._holds(positions):
            return False  # the loop drops the records of lost partitions on its next turn
        try:
            self._producer.commit(messages, positions, group)
        except OutputRefused:
            raise
        except TransactionAborted:
            self._refused = (member, time.monotonic() + REFUSED_SECONDS)
            raise
        self._notes.update(texts)
        for tp, position in positions.items():
            self._floor.note(tp, self._topics.id_of(tp.topic), int(position.offset or 0))
        return True

    def _holds(self, partitions: Iterable[TopicPartition]) -> bool:
        """Return True while the partitions are ours and did not come or go since the last poll."""
        wanted = set(partitions)
        return not self._changes.touches(wanted) and wanted <= set(self._consumer.assignment())

    def _with_note(self, tp: TopicPartition, offset: int, note: str) -> OffsetAndMetadata:
        return OffsetAndMetadata(offset, CommittedNote(self._topics.id_of(tp.topic), note).encode(), -1)

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
            self._waiting.succeeded()
            return
        for tp in sorted(self._unsettled):
            try:
                self._begin(tp, self._consumer.committed(tp, metadata=True, timeout_ms=SETTLE_MS))
                self._consumer.resume(tp)
            except (KafkaError, AssertionError, KeyError) as error:
                if isinstance(error, KafkaError) and is_refused(error):
                    raise translated(error, f"asking for the committed offset of {tp.topic}") from error
                self._waiting.failed(tp, error, time.monotonic())
                return  # the broker is away, or the partition has just gone
            self._unsettled.discard(tp)
        self._waiting.succeeded()

    def _begin(self, tp: TopicPartition, committed: Any) -> None:
        """Stand where the group has committed, if that was on this topic and not on a former one."""
        topic_id = self._topics.id_of(tp.topic)
        kept = CommittedNote() if committed is None else CommittedNote.decode(committed.metadata)
        is_former = kept.topic_id not in ("", topic_id or kept.topic_id)
        if committed is not None and is_former:
            say_lost(tp, committed.offset, 0, f"it is of a former topic of this name, {kept.topic_id}")
        told = None if committed is None or is_former else int(committed.offset)
        begin = self._floor.at_least(tp, topic_id, told)
        self._notes[tp] = kept.note if begin == told and not is_former else ""
        if begin is None:
            self._consumer.seek_to_beginning(tp)
        else:
            self._consumer.seek(tp, begin)
            self._floor.note(tp, topic_id, begin)

    def pause(self, partition: Partition) -> None:
        self._if_owned(self._consumer.pause, partition)

    def resume(self, partition: Partition) -> None:
        self._if_owned(self._consumer.resume, partition)

    def close(self) -> None:
        self._producer.close()
        self._joins.release()
        self._calls.close()
        if self._calls.is_hung:
            return  # it holds what a close would wait for
        try:
            self._consumer.close(timeout_ms=5_000)
        except (KafkaError, AssertionError):
            return  # the session timeout ends the membership

    @staticmethod
    def _if_owned(act: Callable[[TopicPartition], object], partition: Partition) -> None:
        try:
            act(_theirs(partition))
        except (KeyError, AssertionError):
            return  # the partition has just gone


def _ours(tp: TopicPartition) -> Partition:
    return Partition(tp.topic, tp.partition)


def _theirs(partition: Partition) -> TopicPartition:
    return TopicPartition(partition.topic, partition.number)
