"""The broker's in-memory twin: partitions, groups with rebalances, transactions, read_committed."""

import threading
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from steadyline.clock import Clock, SystemClock
from steadyline.contracts.topics import Topic
from steadyline.errors import Backpressure, BrokerUnavailable, ContractBroken, Fenced
from steadyline.kafka.broker import Message, Partition, Publisher, Reader, Record, Worker


@dataclass(slots=True)
class _Group:
    """Members in order of joining; ``generation`` counts rebalances."""

    committed: dict[Partition, int] = field(default_factory=dict)
    members: dict[str, "MemoryWorker"] = field(default_factory=dict)


class MemoryBroker:
    """See ``Broker``. ``set_away`` plays an outage; everything is lost with the process."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.lock = threading.RLock()
        self.arrived = threading.Condition(self.lock)
        self.logs: dict[str, list[list[Record]]] = {}
        self.groups: dict[str, _Group] = {}
        self._topics: dict[str, Topic] = {}
        self._clock = clock or SystemClock()
        self._is_away = False

    def set_away(self, is_away: bool) -> None:
        """Begin or end an outage: everything raises BrokerUnavailable meanwhile."""
        with self.lock:
            self._is_away = is_away

    def worker(self, group: str, instance: str, topics: Sequence[str]) -> Worker:
        return MemoryWorker(self, group, instance, topics)

    def publisher(
        self, client: str, bytes_in_flight: int = 32 << 20, patience: timedelta = timedelta(seconds=30)
    ) -> Publisher:
        return MemoryPublisher(self, bytes_in_flight)

    def reader(self, client: str) -> Reader:
        return MemoryReader(self)

    def create_topics(self, topics: Sequence[Topic]) -> list[str]:
        self.check()
        missing = [topic for topic in topics if topic.name not in self.logs]
        for topic in missing:
            self.logs[topic.name] = [[] for _ in range(topic.partitions)]
            self._topics[topic.name] = topic
        return [topic.name for topic in missing]

    def describe_topics(self, names: Sequence[str]) -> dict[str, tuple[int, dict[str, str]]]:
        self.check()
        return {
            name: (len(self.logs[name]), self._topics[name].config) for name in names if name in self._topics
        }

    def end_offsets(self, topics: Sequence[str]) -> dict[Partition, int]:
        self.check()
        return {
            Partition(topic, number): len(records)
            for topic in topics
            for number, records in enumerate(self.logs.get(topic, []))
        }

    def committed_offsets(self, group: str) -> dict[Partition, int]:
        self.check()
        return dict(self.groups[group].committed) if group in self.groups else {}

    def close(self) -> None:
        """Nothing to close."""

    def check(self) -> None:
        """Raise BrokerUnavailable during an outage."""
        if self._is_away:
            raise BrokerUnavailable("the broker is away")

    def append(self, message: Message) -> None:
        """Write one message at the end of its partition; the lock must be held."""
        if message.topic not in self.logs:
            raise BrokerUnavailable(f"no metadata of {message.topic}")
        partitions = self.logs[message.topic]
        number = message.partition
        if number is None:
            number = zlib.crc32(message.key or b"") % len(partitions)
        place = Partition(message.topic, number)
        moment = int(self._clock.now().timestamp() * 1000)
        offset = len(partitions[number])
        record = Record(place, offset, message.key, message.value, message.headers, moment)
        partitions[number].append(record)
        self.arrived.notify_all()


class MemoryPublisher:
    """See ``Publisher``; what is published is there at once."""

    def __init__(self, broker: MemoryBroker, bytes_in_flight: int) -> None:
        self._broker, self._limit = broker, bytes_in_flight

    def publish(self, message: Message, done: Callable[[Exception | None], None]) -> None:
        if len(message.value or b"") > self._limit:
            raise Backpressure(f"{len(message.value or b'')} bytes are more than may be in flight")
        with self._broker.lock:
            self._broker.check()
            self._broker.append(message)
        done(None)

    def flush(self, within: timedelta) -> bool:
        return True

    def close(self) -> None:
        """Nothing is ever in flight."""


class MemoryReader:
    """See ``Reader``."""

    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker
        self._positions: dict[str, list[int]] = {}
        self._first_ends: dict[str, list[int]] = {}

    def read(self, topic: str, since: datetime | None = None) -> Iterator[Record]:
        oldest = int(since.timestamp() * 1000) if since is not None else -1
        with self._broker.lock:
            self._broker.check()
            records = [record for partition in self._partitions(topic) for record in partition]
        yield from (record for record in records if record.timestamp_ms >= oldest)

    def follow(self, topic: str, wait: timedelta) -> Sequence[Record]:
        with self._broker.lock:
            self._broker.check()
            partitions = self._partitions(topic)
            if topic not in self._positions:
                self._positions[topic] = [0] * len(partitions)
                self._first_ends[topic] = [len(records) for records in partitions]
            found = self._take(topic)
            if not found and self._broker.arrived.wait(wait.total_seconds()):
                found = self._take(topic)
            return found

    def is_at_end(self, topic: str) -> bool:
        if topic not in self._positions:
            return False
        pairs = zip(self._positions[topic], self._first_ends[topic], strict=True)
        return all(position >= end for position, end in pairs)

    def close(self) -> None:
        """Nothing to close."""

    def _partitions(self, topic: str) -> list[list[Record]]:
        if topic not in self._broker.logs:
            raise ContractBroken(f"topic {topic} is missing: run `steadyline topics create`")
        return self._broker.logs[topic]

    def _take(self, topic: str) -> list[Record]:
        found: list[Record] = []
        for number, records in enumerate(self._broker.logs[topic]):
            found += records[self._positions[topic][number] :]
            self._positions[topic][number] = len(records)
        return found


class MemoryWorker:
    """See ``Worker``. Partitions are dealt round robin to the members; joining and leaving deals anew."""

    def __init__(self, broker: MemoryBroker, group: str, instance: str, topics: Sequence[str]) -> None:
        self._broker, self._instance, self._topics = broker, instance, list(topics)
        self._group = broker.groups.setdefault(group, _Group())
        self._positions: dict[Partition, int] = {}
        self._paused: set[Partition] = set()
        self._changed: set[Partition] = set()
        self._is_fenced = False
        with broker.lock:
            previous = self._group.members.pop(instance, None)
            if previous is not None:
                previous._is_fenced = True
            self._group.members[instance] = self
            self._deal()

    def poll(self, wait: timedelta) -> Mapping[Partition, Sequence[Record]]:
        with self._broker.lock:
            self._broker.check()
            found = self._take()
            if not found and self._broker.arrived.wait(wait.total_seconds()):
                found = self._take()
            return found

    def take_lost(self) -> frozenset[Partition]:
        with self._broker.lock:
            changed, self._changed = self._changed, set()
            return frozenset(changed)

    def commit(self, messages: Sequence[Message], offsets: Mapping[Partition, int]) -> bool:
        with self._broker.lock:
            self._broker.check()
            if self._is_fenced:
                raise Fenced(f"another live process uses the instance {self._instance}")
            if not all(partition in self._positions for partition in offsets):
                return False
            for message in messages:
                self._broker.append(message)
            self._group.committed.update(offsets)
            return True

    def resync(self) -> bool:
        with self._broker.lock:
            for partition in self._positions:
                self._positions[partition] = self._group.committed.get(partition, 0)
            self._paused.clear()
            return True

    def pause(self, partition: Partition) -> None:
        self._paused.add(partition)

    def resume(self, partition: Partition) -> None:
        self._paused.discard(partition)

    def close(self) -> None:
        with self._broker.lock:
            if self._group.members.get(self._instance) is self:
                del self._group.members[self._instance]
                self._deal()

    def _take(self) -> dict[Partition, Sequence[Record]]:
        found: dict[Partition, Sequence[Record]] = {}
        for partition, position in self._positions.items():
            records = self._broker.logs[partition.topic][partition.number][position:]
            if records and partition not in self._paused:
                found[partition] = records
                self._positions[partition] = position + len(records)
        return found

    def _deal(self) -> None:
        members = list(self._group.members.values())
        partitions = sorted(
            Partition(topic, number)
            for topic in self._topics
            for number in range(len(self._broker.logs[topic]))
        )
        for index, member in enumerate(members):
            mine = set(partitions[index :: len(members)])
            member._changed |= mine ^ set(member._positions)
            member._positions = {
                partition: member._positions.get(partition, self._group.committed.get(partition, 0))
                for partition in sorted(mine)
            }
            member._paused &= mine
