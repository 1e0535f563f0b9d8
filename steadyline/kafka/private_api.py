"""Everything that is asked of kafka-python 3.0.12 beside its public interface, and why.

Each function names the defect it is for. The version is pinned: ``tests/contract/kafka/test_private_api.py``
fails when the pin moves, so that each of them is looked at again.
"""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from threading import Event
from typing import Any

from kafka import KafkaConsumer, KafkaProducer, TopicPartition

HOLD_SECONDS = 0.002


def known_positions(consumer: KafkaConsumer) -> dict[TopicPartition, int]:
    """Return the next offset to read of each partition whose position the client knows.

    Defect: ``position()`` of one partition asks the broker about all of them, raises what went wrong in an
    earlier request, and would so lose the records that a poll has just returned.
    """
    of_all: Any = consumer
    positions = of_all._subscription.all_consumed_offsets()
    return {partition: int(position.offset) for partition, position in positions.items()}


def forget_committed_answers(consumer: KafkaConsumer) -> None:
    """Drop the client's questions for committed offsets that nobody waits for any more.

    Defect: it keeps one that was given up (a poll waits for milliseconds), and gives its answer to the next
    who asks for the same partitions, minutes later too: a partition that came back would be read again from
    where it was then, and its records be written twice.
    """
    _coordinator(consumer)._offset_fetch_futures.clear()


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
