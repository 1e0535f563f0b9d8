"""What services see of a broker: protocols that kafka-python serves in production, ``memory`` in tests."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from steadyline.contracts.headers import Headers
from steadyline.contracts.topics import Topic
from steadyline.contracts.wire import check_headers, wire_size
from steadyline.errors import BrokerUnavailable, MalformedHeaders


@dataclass(frozen=True, slots=True, order=True)
class Partition:
    """One partition of one topic."""

    topic: str
    number: int


@dataclass(frozen=True, slots=True)
class Record:
    """One message as it was read.

    Of more headers than any record of ours has only the first are kept; ``cut_from`` is then the size that
    the whole record had.
    """

    partition: Partition
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp_ms: int
    cut_from: int | None = None

    @property
    def size(self) -> int:
        """The bytes of what is kept: key, value, headers and what surrounds them."""
        return wire_size(self.key, self.value, self.headers)

    def check(self) -> None:
        """Raise MalformedHeaders when the headers are too many or too large, or a name is no UTF-8."""
        if self.cut_from is not None:
            raise MalformedHeaders(f"too many headers in a record of {self.cut_from} bytes")
        check_headers(self.headers)


@dataclass(frozen=True, slots=True)
class Message:
    """One message to be written; without a ``partition`` the key's hash chooses it."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    partition: int | None = None

    @property
    def size(self) -> int:
        """The bytes on the wire, near enough and never too few."""
        return wire_size(self.key, self.value, self.headers)


class TransactionAborted(Exception):
    """A transaction wrote nothing; the same messages may be committed again."""


class OutputRefused(TransactionAborted):
    """A transaction wrote nothing, for one of its messages is over a limit of its topic or of the client."""


class TransactionBroken(Exception):
    """A transaction's outcome is unknown: drop the records in hand and go on from the committed offsets
    (``resync``).
    """


class Worker(Protocol):
    """One member of a consumer group that writes outputs and input offsets in one transaction.

    It is used from one thread. ``poll`` must be called often (at least every few seconds), also while paused.
    It begins at the committed offset of each partition, unless that was committed on a former topic of this
    name. Where that is not kept any more, it says so, counts it, and goes on at the first record that is.
    """

    def poll(self, wait: timedelta) -> Mapping[Partition, Sequence[Record]]:
        """Return new records per partition, in order.

        Raises BrokerUnavailable during an outage, and ContractBroken when a topic was made anew or has got
        more partitions than it had when the worker was made.
        """
        ...

    @property
    def trouble(self) -> BrokerUnavailable | None:
        """What has for long kept the worker from reading a partition of its own; None when nothing does."""
        ...

    def take_lost(self) -> frozenset[Partition]:
        """Return the partitions taken away or newly given up to the last poll: the caller drops their
        records.

        It is to be called after each ``poll`` and before the records of that poll are used, because those
        belong to the new assignment.
        """
        ...

    @property
    def assigned(self) -> frozenset[Partition]:
        """The partitions that are this worker's own now, also those that have delivered nothing yet."""
        ...

    @property
    def member(self) -> str:
        """This worker's id in the group; it changes when it joins anew."""
        ...

    def members(self) -> frozenset[str]:
        """Return the ids of all live members; raises BrokerUnavailable."""
        ...

    def note(self, partition: Partition) -> str:
        """Return the note beside the committed offset of a partition whose records ``poll`` has delivered."""
        ...

    def mark(self, partition: Partition, offset: int, note: str) -> bool:
        """Commit the offset of the next record with a note, outside any transaction.

        Returns False, having perhaps done nothing, while a rebalance is under way or the broker is away.
        """
        ...

    def commit(
        self,
        messages: Sequence[Message],
        offsets: Mapping[Partition, int],
        notes: Mapping[Partition, str] | None = None,
    ) -> bool:
        """Write ``messages`` and commit ``offsets`` (the next offset to read of each partition) atomically.

        Beside each offset its note is kept, which is empty where ``notes`` has none.
        Returns False, having done nothing, while a rebalance is under way: try again later.
        Raises TransactionAborted (keep the results, retry), OutputRefused (the same messages will be refused
        again), TransactionBroken (call ``resync``),
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

    @property
    def stamped_ms(self) -> int:
        """The time, in ms since 1970, that the topic has for the message acknowledged last; 0 before one was.

        It is the broker's or this machine's, as the topic stamps. ``done`` finds its own message's here.
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

    It is used from one thread. Partitions that a topic gains later are read from their beginning.
    """

    def poll(self, wait: timedelta) -> Sequence[Record]:
        """Return the records since the last call, in order per partition; wait up to ``wait`` for them.

        From an offset that is no longer, or not yet, on the topic, reading goes on at the first record that
        is kept, which is logged and counted. Raises BrokerUnavailable during an outage, and leaves the
        positions as they were. Raises ContractBroken while a topic is missing, and begins once it exists; and
        for good when a topic was made anew while it was read.
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

    def mend_topics(self, topics: Sequence[Topic]) -> list[str]:
        """Give the topics that exist the settings they must have, and more partitions where they have fewer.

        Returns the names of those that were changed, once the broker tells of the change.
        """
        ...

    def describe_topics(self, names: Sequence[str]) -> dict[str, tuple[int, dict[str, str]]]:
        """Return name → (partition count, settings) of the topics that exist."""
        ...

    def topic_ids(self, names: Sequence[str]) -> dict[str, str]:
        """Return name → id of the topics that exist, in the 22 characters that Kafka prints.

        A topic that is deleted and made anew under its name gets another id, and its offsets begin again.
        """
        ...

    def version(self) -> tuple[int, ...]:
        """Return the newest broker's release as far as its protocol tells it: ``(4, 2)`` for 4.2.1."""
        ...

    def replicas(self, names: Sequence[str]) -> dict[str, int]:
        """Return name → the least number of replicas that a partition has, of the topics that exist."""
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
