"""Everything that is asked of kafka-python 3.0.12 beside its public interface, and why.

Each function names the defect it is for. The version is pinned: ``tests/contract/kafka/test_private_api.py``
fails when the pin moves, so that each of them is looked at again.
"""

import zlib
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from threading import Event
from typing import Any

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.consumer.fetcher import Fetcher
from kafka.errors import CorruptRecordError, UnsupportedCodecError
from kafka.protocol.consumer import IsolationLevel
from typing_extensions import override

from steadyline.contracts.headers import Headers
from steadyline.contracts.topics import MAX_FRAME_BYTES
from steadyline.contracts.wire import name_bytes
from steadyline.kafka import metrics
from steadyline.kafka.broker import Partition, Record
from steadyline.kafka.client.connection import printed_topic_id
from steadyline.kafka.client.record_format import offset_deltas, read_records
from steadyline.kafka.guards.deadline import CallThread
from steadyline.telemetry.logs import get_logger

log = get_logger(__name__)

HOLD_SECONDS = 0.002
MAX_BATCH_BYTES = 8 * MAX_FRAME_BYTES  # of a batch that was compressed: more is a bomb
GZIP_WINDOW = 31  # zlib reads gzip then
LAST_MOMENT_MS = 253_402_300_799_999  # the end of the year 9999


def known_positions(consumer: KafkaConsumer) -> dict[TopicPartition, int]:
    """Return the next offset to read of each partition whose position the client knows.

    Defect: ``position()`` of one partition asks the broker about all of them, raises what went wrong in an
    earlier request, and would so lose the records that a poll has just returned.
    """
    of_all: Any = consumer
    positions = of_all._subscription.all_consumed_offsets()
    return {partition: int(position.offset) for partition, position in positions.items()}


def known_topic_id(consumer: KafkaConsumer, topic: str) -> str:
    """Return the id of a topic by the client's newest metadata, as Kafka prints it; empty while unknown.

    Defect: the client writes a line to its log when a topic is made anew, and goes on with the old offsets.
    """
    of_all: Any = consumer
    found = of_all._cluster.topic_id(topic)
    return "" if found is None else printed_topic_id(str(found))


def known_partitions(consumer: KafkaConsumer, topic: str) -> frozenset[int]:
    """Return the numbers of a topic's partitions by the client's newest metadata; empty while unknown.

    Defect: ``partitions_for_topic`` asks the broker about all topics when it does not know this one, waits
    for the answer without a limit, and raises what keeps the broker away.
    """
    of_all: Any = consumer
    return frozenset(of_all._cluster.partitions_for_topic(topic) or ())


def forget_committed_answers(consumer: KafkaConsumer) -> None:
    """Drop the client's questions for committed offsets that nobody waits for any more.

    Defect: it keeps one that was given up (a poll waits for milliseconds), and gives its answer to the next
    who asks for the same partitions, minutes later too: a partition that came back would be read again from
    where it was then, and its records be written twice.
    """
    _coordinator(consumer)._offset_fetch_futures.clear()


class TolerantRecords(Fetcher.PartitionRecords):
    """The records of one fetched partition, each as our ``Record``; what cannot be read is passed over."""

    def _unpack_records(self, tp: TopicPartition, records: Any, *_deserializers: Any) -> Iterator[Record]:
        place = Partition(tp.topic, tp.partition)
        batch = self._next(records)
        while batch is not None:
            following = self._next(records)
            try:
                yield from self._read(place, batch)
            except UnsupportedCodecError:
                raise  # the topic is not set as ours are, and nothing on it is at fault
            except Exception as error:
                self._pass_over(place, batch, following, error)
            batch = following
        self.drain()

    @staticmethod
    def _next(records: Any) -> Any:
        try:
            return records.next_batch()
        except (CorruptRecordError, AssertionError):
            return None  # too short for a batch: the broker is asked for it again

    def _read(self, place: Partition, batch: Any) -> Iterator[Record]:
        """Yield the records of one batch, of which nothing is delivered before its checksum is right."""
        if not batch.validate_crc():
            raise CorruptRecordError("the checksum does not fit the batch")
        if batch.magic < 2:
            yield from self._legacy(place, batch)
            return
        self.leader_epoch = batch.leader_epoch
        if not self._is_dropped(batch):
            moment = batch.max_timestamp if batch.timestamp_type else batch.first_timestamp
            count, last = batch.records_count, batch.last_offset_delta
            for delta, fields in offset_deltas(read_records(_body(batch), count), count, last):
                at = moment if batch.timestamp_type else moment + fields.timestamp_delta
                yield from self._counted(
                    Record(
                        place,
                        batch.base_offset + delta,
                        fields.key,
                        fields.value,
                        fields.headers,
                        min(max(0, at), LAST_MOMENT_MS),
                        fields.cut_from,
                    )
                )
        self.next_fetch_offset = max(self.next_fetch_offset, batch.next_offset)

    def _is_dropped(self, batch: Any) -> bool:
        """Return True for a batch of an aborted transaction and for a marker, as the client does."""
        client: Any = self
        if self.isolation_level == IsolationLevel.READ_COMMITTED and batch.has_producer_id():
            client._consume_aborted_transactions_up_to(batch.last_offset)
            if client._contains_abort_marker(batch):
                self.aborted_producer_ids.discard(batch.producer_id)
            elif client._is_batch_aborted(batch):
                return True
        return bool(batch.is_control_batch)

    def _legacy(self, place: Partition, batch: Any) -> Iterator[Record]:
        """Yield the records of the two formats that had no headers."""
        for item in batch:
            at = min(max(0, item.timestamp or 0), LAST_MOMENT_MS)
            yield from self._counted(Record(place, item.offset, item.key, item.value, (), at))

    def _counted(self, record: Record) -> Iterator[Record]:
        self.records_read += 1
        self.bytes_read += record.size
        self.next_fetch_offset = record.offset + 1
        yield record

    def _pass_over(self, place: Partition, batch: Any, following: Any, error: Exception) -> None:
        """Go on behind a batch that cannot be read.

        That is at its end if its header can be believed, else at the next batch, else one offset further.
        """
        begin = self.next_fetch_offset
        end = begin + 1
        if batch.magic == 2 and batch.validate_crc():
            end = batch.next_offset
        elif following is not None:
            end = following.base_offset
        self.next_fetch_offset = max(begin + 1, end)
        metrics.UNREADABLE.add(self.next_fetch_offset - begin, topic=place.topic)
        log.error(
            "records_unreadable",
            topic=place.topic,
            partition=place.number,
            begin=begin,
            end=self.next_fetch_offset,
            error=repr(error)[:500],
        )


def _body(batch: Any) -> memoryview:
    """Return what follows the header of a batch, uncompressed; raises UnsupportedCodecError."""
    body = memoryview(batch._buffer)[batch.HEADER_STRUCT.size :]
    if batch.compression_type == batch.CODEC_NONE:
        return body
    batch._assert_has_codec(batch.compression_type)
    if batch.compression_type != batch.CODEC_GZIP:
        raise UnsupportedCodecError(f"compression {batch.compression_type} is not read here")
    whole = zlib.decompressobj(GZIP_WINDOW)
    read = whole.decompress(body, MAX_BATCH_BYTES)
    if not whole.eof:
        raise CorruptRecordError(f"a batch of gzip is cut short, or has more than {MAX_BATCH_BYTES} bytes")
    return memoryview(read)


def read_tolerantly(consumer: KafkaConsumer) -> None:
    """Let a consumer return our records, whatever bytes a producer has written in them.

    Defect: the client raises for a record that the broker took, once, and never returns from the next poll:
    for header names that are no UTF-8, for attributes and lengths in an unusual form. It makes objects of
    millions of headers, unpacks compressed batches without a limit, and takes the offset of a record from its
    producer, who can so send a reader past what others have written.
    """
    of_all: Any = consumer
    of_all._fetcher.PartitionRecords = TolerantRecords


def polled_records(
    calls: CallThread, consumer: KafkaConsumer, wait: timedelta
) -> dict[TopicPartition, list[Record]]:
    """Return what comes within ``wait`` at a consumer of ``read_tolerantly``.

    Raises KafkaError, and ContractBroken when the client does not return: its poll has no deadline.
    """
    of_all: Any = consumer
    found: dict[TopicPartition, list[Record]] = calls.call(
        partial(of_all.poll, timeout_ms=max(1, int(wait.total_seconds() * 1000)))
    )
    return found


class _RawName(str):
    """A header's name whose bytes are those that were read, also where they are no UTF-8."""

    __slots__ = ()

    @override
    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        return name_bytes(str(self))


def written_headers(headers: Headers) -> list[tuple[str, bytes]]:
    """Return headers as a producer is given them.

    Defect: the client takes a name only as valid text, so that what was refused for its names could not be
    written as a dead letter.
    """
    return [(_RawName(name), value) for name, value in headers]


class HeldJoins:
    """Lets no join of a consumer's group end while nobody waits for it.

    Defect: the client throws such a join away and begins anew, for the whole group: with short polls, and
    work in between, a group would not settle for as long as that goes on.
    """

    def __init__(self, consumer: KafkaConsumer) -> None:
        self._coordinator = _coordinator(consumer)
        self._is_awaited = Event()
        join: Callable[[], Awaitable[Any]] = self._coordinator._do_join_and_sync_async

        async def held() -> Any:
            assignment = await join()
            while not self._is_awaited.is_set():
                await self._coordinator._net.sleep(HOLD_SECONDS)
            return assignment

        self._coordinator._do_join_and_sync_async = held

    def take_part(self, wait: timedelta) -> None:
        """Take part for up to ``wait`` in a rebalance that is under way; raises KafkaError."""
        if self._coordinator.need_rejoin():
            with self._awaited():
                self._coordinator.poll(timeout_ms=int(wait.total_seconds() * 1000))

    def release(self) -> None:
        """Let a join that is held end: the consumer is about to close."""
        self._is_awaited.set()

    @contextmanager
    def _awaited(self) -> Iterator[None]:
        self._is_awaited.set()
        try:
            yield
        finally:
            self._is_awaited.clear()


def force_close(producer: KafkaProducer) -> None:
    """End a producer at once; what it has not sent fails.

    Defect: ``close`` raises, or leaves its thread alive, when batches are stuck.
    """
    forced: Any = producer
    forced._sender.force_close()
    forced._unregister_cleanup()
    forced._closed = True


def last_error(producer: KafkaProducer) -> BaseException | None:
    """Return what put a transactional producer into its error state; None while there was nothing.

    Defect: after its first error every call raises a bare KafkaError, so that a fenced producer cannot be
    told from one whose transaction expired.
    """
    failed: Any = producer
    error: BaseException | None = failed._transaction_manager.last_error
    return error


def _coordinator(consumer: KafkaConsumer) -> Any:
    of_group: Any = consumer
    return of_group._coordinator
