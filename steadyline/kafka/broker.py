"""What services see of a broker: protocols that kafka-python serves in production, ``memory`` in tests."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from steadyline.contracts.headers import Headers
from steadyline.contracts.topics import Topic


@dataclass(frozen=True, slots=True, order=True)
class Partition:
    """One partition of one topic."""

    topic: str
    number: int


@dataclass(frozen=True, slots=True)
class Record:
    """One message as it was read."""

    partition: Partition
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp_ms: int


@dataclass(frozen=True, slots=True)
class Message:
    """One message to be written; without a ``partition`` the key's hash chooses it."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    partition: int | None = None


class TransactionAborted(Exception):
    """A transaction wrote nothing; the same messages may be committed again."""


class TransactionBroken(Exception):
    """A transaction's outcome is unknown: drop the records in hand and go on from the committed offsets
    (``resync``).
    """


class Worker(Protocol):
    """One member of a consumer group that writes outputs and input offsets in one transaction.

    It is used from one thread. ``poll`` must be called often (at least every few seconds), also while paused.
    """

    def poll(self, wait: timedelta) -> Mapping[Partition, Sequence[Record]]:
        """Return new records per partition, in order; raises BrokerUnavailable during an outage."""
        ...

    def take_lost(self) -> frozenset[Partition]:
        """Return the partitions taken away or newly given up to the last poll: the caller drops their
        records.

        It is to be called after each ``poll`` and before the records of that poll are used, because those
        belong to the new assignment.
        """
        ...

    def commit(self, messages: Sequence[Message], offsets: Mapping[Partition, int]) -> bool:
        """Write ``messages`` and commit ``offsets`` (the next offset to read of each partition) atomically.

        Returns False, having done nothing, while a rebalance is under way: try again later.
        Raises TransactionAborted (keep the results, retry), TransactionBroken (call ``resync``),
        BrokerUnavailable (nothing was begun) or Fenced.
        """
        ...

    def resync(self) -> None:
        """Go back to the committed offsets of every owned partition: the next polls deliver from there."""
        ...

    def pause(self, partition: Partition) -> None:
        """Deliver nothing more of ``partition`` until ``resume``."""
        ...

    def resume(self, partition: Partition) -> None:
        """Undo ``pause``; a partition that is no longer owned is ignored."""
        ...

    def close(self) -> None:
        """Leave the group; never hangs."""
        ...


class Publisher(Protocol):
    """Writes messages idempotently, in order and asynchronously, with a bound on the bytes in flight."""

    def publish(self, message: Message, done: Callable[[Exception | None], None]) -> None:
        """Queue ``message``; ``done`` is called once, from another thread, with None or the error.

        Raises Backpressure when the bytes in flight would pass the bound, BrokerUnavailable when the topic's
        metadata cannot be had, and PictureTooLarge when the message is over a limit of the client; ``done``
        gets PictureTooLarge when it is over one of the topic.
        """
        ...

    def flush(self, within: timedelta) -> bool:
        """Wait until all queued messages are acknowledged or have failed; return False when time ran out."""
        ...

    def close(self) -> None:
        """Stop; ``done`` of each unacknowledged message is called with an error. Never hangs."""
        ...


class Reader(Protocol):
    """Reads the committed records of topics, without a consumer group."""

    def read(
        self,
        topic: str,
        since: datetime | None = None,
        start: Mapping[Partition, int] | None = None,
        until: datetime | None = None,
    ) -> Iterator[Record]:
        """Yield every record from the beginning to the end as it was when the call was made.

        With ``since`` each partition begins at its first record whose timestamp is not older than that (a
        producer that comes back after a crash looks only at the tail). With ``start`` a partition begins at
        the offset that is given for it, if any. With ``until`` it ends before its first record that is not
        older than that. Transactions open at the end are waited for, until they are committed or timed out.
        Raises BrokerUnavailable during an outage.
        """
        ...

    def close(self) -> None:
        """Close the connections; this never hangs."""
        ...


class Follower(Protocol):
    """Reads the committed records of several topics without a group; the caller keeps the positions.

    It is used from one thread. Partitions that a topic gains later are read by the next follower.
    """

    def poll(self, wait: timedelta) -> Sequence[Record]:
        """Return the records since the last call, in order per partition; wait up to ``wait`` for them.

        From an offset that is no longer, or not yet, on the topic, reading goes on at the first record that
        is kept. Raises BrokerUnavailable during an outage, and leaves the positions as they were. Raises
        ContractBroken while a topic is missing, and begins once it exists.
        """
        ...

    def positions(self) -> dict[Partition, int]:
        """Return the next offset to read of each partition, behind the records that ``poll`` has returned.

        A follower that starts there continues without a gap and without a repetition. The markers of
        transactions count as read, so a position may lie behind the last record by more than one. The result
        is empty until a poll has found the topics; a partition not yet reached has the offset it starts at.
        """
        ...

    def is_at_end(self) -> bool:
        """Return True once ``poll`` has returned every record that existed when it was first called."""
        ...

    def close(self) -> None:
        """Close the connections; this never hangs."""
        ...


class Broker(Protocol):
    """Makes workers, publishers, readers and followers, and administers the topics."""

    def worker(self, group: str, instance: str, topics: Sequence[str]) -> Worker: ...

    def publisher(
        self, client: str, bytes_in_flight: int = 32 << 20, patience: timedelta = timedelta(seconds=30)
    ) -> Publisher:
        """Return a publisher; after ``patience`` a message that waits for the broker counts as failed.

        Producers of frames wait for as long as an outage lasts, because messages that fail one by one lose
        their order.
        """
        ...

    def reader(self, client: str) -> Reader: ...

    def follower(
        self, client: str, topics: Sequence[str], start: Mapping[Partition, int] | None = None
    ) -> Follower:
        """Return a follower that begins at ``start``, and at the beginning of partitions not named there."""
        ...

    def create_topics(self, topics: Sequence[Topic]) -> list[str]:
        """Create the topics that are missing and return their names."""
        ...

    def describe_topics(self, names: Sequence[str]) -> dict[str, tuple[int, dict[str, str]]]:
        """Return name → (partition count, settings) of the topics that exist."""
        ...

    def end_offsets(self, topics: Sequence[str]) -> dict[Partition, int]:
        """Return the next offset of each partition."""
        ...

    def start_offsets(self, topics: Sequence[str]) -> dict[Partition, int]:
        """Return the first offset that each partition still keeps."""
        ...

    def committed_offsets(self, group: str) -> dict[Partition, int]:
        """Return the offsets that a group has committed; its lag is ``end_offsets`` minus these."""
        ...

    def close(self) -> None: ...
