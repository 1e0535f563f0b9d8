"""What the in-memory twin keeps: logs of partitions, groups, and the lock that makes a commit atomic."""

import threading
import zlib
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from steadyline.clock import Clock
from steadyline.contracts.topics import Topic
from steadyline.errors import BrokerUnavailable, ContractBroken
from steadyline.kafka.broker import Message, Partition, Record

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


class Member(Protocol):
    """A worker as its group sees it."""

    def assign(self, partitions: set[Partition]) -> None:
        """Take over the assignment of a new generation."""
        ...

    def fence(self) -> None:
        """Another member has taken the instance name."""
        ...


@dataclass(slots=True)
class Group:
    """Committed offsets and the members in order of joining."""

    committed: dict[Partition, int] = field(default_factory=dict)
    members: dict[str, Member] = field(default_factory=dict)


class MemoryState:
    """Everything the twin's workers, publishers and readers share; guarded by ``lock``."""

    def __init__(self, clock: Clock) -> None:
        self.lock = threading.RLock()
        self.arrived = threading.Condition(self.lock)
        self.topics: dict[str, Topic] = {}
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

    def place(self, message: Message) -> Partition:
        """Return where ``message`` belongs; raises BrokerUnavailable when its topic is missing."""
        if message.topic not in self.topics:
            raise BrokerUnavailable(f"no metadata of {message.topic}")
        number = message.partition
        if number is None:
            number = zlib.crc32(message.key or b"") % self.topics[message.topic].partitions
        return Partition(message.topic, number)

    def append(self, messages: Sequence[Message]) -> None:
        """Write all or, when a topic is missing, none; the lock must be held."""
        places = [self.place(message) for message in messages]
        moment = int(self._clock.now().timestamp() * 1000)
        for place, message in zip(places, messages, strict=True):
            log = self.logs[place]
            log.records.append(Record(place, log.end, message.key, message.value, message.headers, moment))
        self.arrived.notify_all()
