"""What the in-memory twin keeps: logs of partitions, groups, and the lock that makes a commit atomic."""

import threading
import zlib
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from steadyline.clock import Clock
from steadyline.contracts.topics import Topic
from steadyline.contracts.wire import first_headers
from steadyline.errors import BrokerUnavailable, ContractBroken
from steadyline.kafka import metrics
from steadyline.kafka.broker import Message, Partition, Record
from steadyline.kafka.client.connection import PARTITION_FETCH_BYTES
from steadyline.kafka.client.record_format import are_kept

# How a commit goes wrong: nothing written; outcome unknown and nothing written; unknown and written.
CommitFault = Literal["aborted", "broken_before", "broken_after"]


@dataclass(slots=True)
class Log:
    """One partition; ``start`` is the offset of its first record, what was before has expired."""

    start: int = 0
    records: deque[Record] = field(default_factory=deque)

    @property
    def end(self) -> int:
        """The next offset."""
        return self.start + len(self.records)

    def since(self, offset: int) -> list[Record]:
        """Return the records from ``offset`` on; an expired offset means from the first one kept."""
        return [record for record in self.records if record.offset >= offset]

    def fetched(self, offset: int) -> list[Record]:
        """Return what one fetch of a broker holds of the records from ``offset`` on, one at the least."""
        room = PARTITION_FETCH_BYTES
        found: list[Record] = []
        for record in self.since(offset):
            room -= record.size
            if found and room < 0:
                break
            found.append(record)
        return found


class Member(Protocol):
    """A worker as its group sees it."""

    @property
    def member(self) -> str:
        """The member's id in the group."""
        ...

    def assign(self, partitions: set[Partition]) -> None:
        """Take over the assignment of a new generation."""
        ...

    def fence(self) -> None:
        """Another member has taken the instance name."""
        ...


@dataclass(slots=True)
class Group:
    """Committed offsets with the notes beside them, and the members in order of joining."""

    committed: dict[Partition, int] = field(default_factory=dict)
    notes: dict[Partition, str] = field(default_factory=dict)
    members: dict[str, Member] = field(default_factory=dict)


class MemoryState:
    """Everything the twin's workers, publishers and readers share; guarded by ``lock``."""

    def __init__(self, clock: Clock) -> None:
        self.lock = threading.RLock()
        self.arrived = threading.Condition(self.lock)
        self.topics: dict[str, Topic] = {}
        self.topic_ids: dict[str, str] = {}
        self.logs: dict[Partition, Log] = {}
        self.groups: dict[str, Group] = {}
        self.faults: deque[CommitFault] = deque()
        self.is_away = False
        self._clock = clock

    def check(self) -> None:
        """Raise BrokerUnavailable during an outage."""
        if self.is_away:
            raise BrokerUnavailable("the broker is away")

    def partitions(self, topics: Sequence[str]) -> list[Partition]:
        """Return the partitions of ``topics``, ascending; raises ContractBroken when one is missing."""
        for topic in topics:
            if topic not in self.topics:
                raise ContractBroken(f"topic {topic} is missing: run `steadyline topics create`")
        return [
            Partition(topic, number) for topic in topics for number in range(self.topics[topic].partitions)
        ]

    def check_same(self, ids: Mapping[str, str], counts: Mapping[str, int]) -> None:
        """Raise ContractBroken when a topic has another id, or more partitions, than these."""
        for topic, known in ids.items():
            if self.topic_ids.get(topic, known) != known:
                raise ContractBroken(f"topic {topic} was deleted and made anew while it was read")
        for topic, count in counts.items():
            if topic in self.topics and self.topics[topic].partitions > count:
                raise ContractBroken(
                    f"topic {topic} has {self.topics[topic].partitions} partitions and had {count} when this "
                    "process started"
                )

    def go_on_at(self, place: Partition, position: int) -> int:
        """Return ``position``, or the offset of the first record kept when that is not on the topic."""
        log = self.logs[place]
        if log.start <= position <= log.end:
            return position
        metrics.POSITIONS_LOST.add(1, topic=place.topic)
        metrics.SKIPPED.add(max(0, log.start - position), topic=place.topic)
        return log.start

    def place(self, message: Message) -> Partition:
        """Return where ``message`` belongs; raises BrokerUnavailable when its topic is missing."""
        if message.topic not in self.topics:
            raise BrokerUnavailable(f"no metadata of {message.topic}")
        number = message.partition
        if number is None:
            number = zlib.crc32(message.key or b"") % self.topics[message.topic].partitions
        return Partition(message.topic, number)

    def takes(self, message: Message) -> bool:
        """Return True unless the whole message is over the limit of its topic; raises like ``place``."""
        return message.size <= self.topics[self.place(message).topic].max_message_bytes

    def append(self, messages: Sequence[Message]) -> int:
        """Write all or, when a topic is missing, none; return the time stamp. The lock must be held."""
        places = [self.place(message) for message in messages]
        moment = int(self._clock.now().timestamp() * 1000)
        for place, message in zip(places, messages, strict=True):
            log = self.logs[place]
            headers, cut_from = message.headers, None
            if not are_kept(headers):
                headers, cut_from = tuple(first_headers(headers)), message.size
            record = Record(place, log.end, message.key, message.value, headers, moment, cut_from)
            log.records.append(record)
        self.arrived.notify_all()
        return moment
