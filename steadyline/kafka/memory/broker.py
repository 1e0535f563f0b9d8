"""The broker's in-memory twin: partitions, groups with rebalances, transactions, read_committed."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from secrets import token_urlsafe

from steadyline.clock import Clock, SystemClock
from steadyline.contracts.topics import MAX_REQUEST_BYTES, Topic
from steadyline.errors import PictureTooLarge
from steadyline.kafka.broker import Follower, Message, Partition, Publisher, Reader, Record, Worker
from steadyline.kafka.memory.follower import MemoryFollower
from steadyline.kafka.memory.log import CommitFault, Log, MemoryState
from steadyline.kafka.memory.worker import MemoryWorker


class MemoryBroker:
    """See ``Broker``; all is lost with the process. Outages, faults and retention are played on order."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._state = MemoryState(clock or SystemClock())

    def set_away(self, is_away: bool) -> None:
        """Begin or end an outage: everything raises BrokerUnavailable meanwhile."""
        with self._state.lock:
            self._state.is_away = is_away

    def fail_commits(self, *faults: CommitFault) -> None:
        """Let the next commits of any worker go wrong, one fault each."""
        with self._state.lock:
            self._state.faults.extend(faults)

    def expire(self, partition: Partition, count: int) -> None:
        """Delete the oldest ``count`` records of a partition, as retention does."""
        with self._state.lock:
            log = self._state.logs[partition]
            for _ in range(min(count, len(log.records))):
                log.records.popleft()
                log.start += 1

    def worker(self, group: str, instance: str, topics: Sequence[str]) -> Worker:
        return MemoryWorker(self._state, group, instance, topics)

    def publisher(
        self, client: str, bytes_in_flight: int = 32 << 20, patience: timedelta = timedelta(seconds=30)
    ) -> Publisher:
        return MemoryPublisher(self._state, bytes_in_flight)

    def reader(self, client: str) -> Reader:
        return MemoryReader(self._state)

    def follower(
        self, client: str, topics: Sequence[str], start: Mapping[Partition, int] | None = None
    ) -> Follower:
        return MemoryFollower(self._state, topics, start or {})

    def create_topics(self, topics: Sequence[Topic]) -> list[str]:
        with self._state.lock:
            self._state.check()
            missing = [topic for topic in topics if topic.name not in self._state.topics]
            for topic in missing:
                self._state.topics[topic.name] = topic
                self._state.topic_ids[topic.name] = token_urlsafe(16)
                for number in range(topic.partitions):
                    self._state.logs[Partition(topic.name, number)] = Log()
            return [topic.name for topic in missing]

    def mend_topics(self, topics: Sequence[Topic]) -> list[str]:
        with self._state.lock:
            self._state.check()
            wrong = [topic for topic in topics if self._state.topics.get(topic.name, topic) != topic]
            for topic in wrong:
                old = self._state.topics[topic.name]
                count = max(topic.partitions, old.partitions)
                kept = replace(topic.replication, factor=old.replication.factor)  # no setting moves replicas
                self._state.topics[topic.name] = replace(topic, partitions=count, replication=kept)
                for number in range(count):
                    self._state.logs.setdefault(Partition(topic.name, number), Log())
            return [topic.name for topic in wrong]

    def delete_topic(self, name: str) -> None:
        """Delete a topic with all its records; what ``create_topics`` then makes has another id."""
        with self._state.lock:
            for place in self._state.partitions([name]):
                del self._state.logs[place]
            del self._state.topics[name], self._state.topic_ids[name]
            for group in self._state.groups.values():
                group.committed = {place: at for place, at in group.committed.items() if place.topic != name}

    def topic_ids(self, names: Sequence[str]) -> dict[str, str]:
        with self._state.lock:
            self._state.check()
            return {name: self._state.topic_ids[name] for name in names if name in self._state.topic_ids}

    def describe_topics(self, names: Sequence[str]) -> dict[str, tuple[int, dict[str, str]]]:
        with self._state.lock:
            self._state.check()
            known = (self._state.topics[name] for name in names if name in self._state.topics)
            return {topic.name: (topic.partitions, topic.config) for topic in known}

    def version(self) -> tuple[int, ...]:
        return (4, 2)

    def replicas(self, names: Sequence[str]) -> dict[str, int]:
        with self._state.lock:
            self._state.check()
            known = [self._state.topics[name] for name in names if name in self._state.topics]
            return {topic.name: topic.replication.factor or 1 for topic in known}

    def end_offsets(self, topics: Sequence[str]) -> dict[Partition, int]:
        return self._offsets(topics, lambda log: log.end)

    def start_offsets(self, topics: Sequence[str]) -> dict[Partition, int]:
        return self._offsets(topics, lambda log: log.start)

    def committed_offsets(self, group: str) -> dict[Partition, int]:
        with self._state.lock:
            self._state.check()
            return dict(self._state.groups[group].committed) if group in self._state.groups else {}

    def close(self) -> None:
        """Nothing to close."""

    def _offsets(self, topics: Sequence[str], which: Callable[[Log], int]) -> dict[Partition, int]:
        with self._state.lock:
            self._state.check()
            return {
                partition: which(self._state.logs[partition]) for partition in self._state.partitions(topics)
            }


class MemoryPublisher:
    """See ``Publisher``; what is published is there at once."""

    def __init__(self, state: MemoryState, bytes_in_flight: int) -> None:
        self._state, self._limit = state, bytes_in_flight
        self.stamped_ms = 0

    def publish(self, message: Message, done: Callable[[Exception | None], None]) -> None:
        size = message.size
        if size > min(self._limit, MAX_REQUEST_BYTES):
            raise PictureTooLarge(f"{message.topic} takes no message of {size} bytes")
        with self._state.lock:
            self._state.check()
            fits = self._state.takes(message)
            if fits:
                self.stamped_ms = self._state.append([message])
        done(None if fits else PictureTooLarge(f"{message.topic} takes no message of {size} bytes"))

    def flush(self, within: timedelta) -> bool:
        return True

    def close(self) -> None:
        """Nothing is ever in flight."""


class MemoryReader:
    """See ``Reader``."""

    def __init__(self, state: MemoryState) -> None:
        self._state = state

    def read(
        self,
        topic: str,
        since: datetime | None = None,
        start: Mapping[Partition, int] | None = None,
        until: datetime | None = None,
    ) -> Iterator[Record]:
        oldest = int(since.timestamp() * 1000) if since is not None else -1
        begin = start or {}
        newest = int(until.timestamp() * 1000) if until is not None else 1 << 62
        with self._state.lock:
            self._state.check()
            found = [
                record
                for partition in self._state.partitions([topic])
                for record in self._state.logs[partition].since(begin.get(partition, 0))
            ]
        yield from (record for record in found if oldest <= record.timestamp_ms < newest)

    def close(self) -> None:
        """Nothing to close."""
