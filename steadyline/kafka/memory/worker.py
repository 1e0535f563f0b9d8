"""A group member of the in-memory twin."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import timedelta

from steadyline.errors import BrokerUnavailable, Fenced
from steadyline.kafka.broker import (
    Message,
    OutputRefused,
    Partition,
    Record,
    TransactionAborted,
    TransactionBroken,
)
from steadyline.kafka.memory.log import Group, MemoryState


class MemoryWorker:
    """See ``Worker``. Partitions are dealt round robin to the members; joining and leaving deals anew."""

    def __init__(self, state: MemoryState, group: str, instance: str, topics: Sequence[str]) -> None:
        self._state, self._instance = state, instance
        self._positions: dict[Partition, int] = {}
        self._paused: set[Partition] = set()
        self._changed: set[Partition] = set()  # since the last poll
        self._lost: set[Partition] = set()  # up to the last poll
        self._is_fenced = False
        self.member = f"{instance}-{uuid.uuid4()}"
        with state.lock:
            state.check()
            self._all = state.partitions(topics)
            self._ids = {topic: state.topic_ids[topic] for topic in topics}
            self._counts = {topic: state.topics[topic].partitions for topic in topics}
            self._group = state.groups.setdefault(group, Group())
            previous = self._group.members.pop(instance, None)
            if previous is not None:
                previous.fence()
            self._group.members[instance] = self
            self._deal()

    def poll(self, wait: timedelta) -> Mapping[Partition, Sequence[Record]]:
        with self._state.lock:
            self._check()
            found = self._take()
            if not found and self._state.arrived.wait(wait.total_seconds()):
                self._check()
                found = self._take()
            return found

    @property
    def trouble(self) -> BrokerUnavailable | None:
        return None

    def take_lost(self) -> frozenset[Partition]:
        with self._state.lock:
            lost, self._lost = self._lost, set()
            return frozenset(lost)

    @property
    def assigned(self) -> frozenset[Partition]:
        with self._state.lock:
            return frozenset(self._positions)

    def members(self) -> frozenset[str]:
        with self._state.lock:
            self._state.check()
            return frozenset(member.member for member in self._group.members.values())

    def note(self, partition: Partition) -> str:
        with self._state.lock:
            return self._group.notes.get(partition, "")

    def mark(self, partition: Partition, offset: int, note: str) -> bool:
        with self._state.lock:
            if self._state.is_away or partition in self._changed or partition not in self._positions:
                return False
            self._group.committed[partition], self._group.notes[partition] = offset, note
            return True

    def commit(
        self,
        messages: Sequence[Message],
        offsets: Mapping[Partition, int],
        notes: Mapping[Partition, str] | None = None,
    ) -> bool:
        with self._state.lock:
            self._check()
            if not self._changed.isdisjoint(offsets) or not self._positions.keys() >= offsets.keys():
                return False
            for message in messages:
                if not self._state.takes(message):
                    raise OutputRefused(f"{message.topic} takes no message of {message.size} bytes")
            fault = self._state.faults.popleft() if self._state.faults else None
            if fault == "aborted":
                raise TransactionAborted("as told")
            if fault != "broken_before":
                self._state.append(messages)
                self._group.committed.update(offsets)
                self._group.notes.update({item: (notes or {}).get(item, "") for item in offsets})
            if fault is not None:
                raise TransactionBroken(f"as told: {fault}")
            return True

    def resync(self) -> None:
        with self._state.lock:
            self._positions = {partition: self._committed(partition) for partition in self._positions}
            self._paused.clear()

    def pause(self, partition: Partition) -> None:
        with self._state.lock:
            if partition in self._positions:
                self._paused.add(partition)

    def resume(self, partition: Partition) -> None:
        with self._state.lock:
            self._paused.discard(partition)

    def close(self) -> None:
        with self._state.lock:
            if self._group.members.get(self._instance) is self:
                del self._group.members[self._instance]
                self._deal()

    def assign(self, partitions: set[Partition]) -> None:
        """See ``Member``: what stays keeps its position, what is new begins at its committed offset."""
        self._changed |= partitions ^ self._positions.keys()
        self._positions = {
            partition: self._positions.get(partition, self._committed(partition))
            for partition in sorted(partitions)
        }
        self._paused &= partitions

    def fence(self) -> None:
        """See ``Member``."""
        self._is_fenced = True

    def _check(self) -> None:
        self._state.check()
        if self._is_fenced:
            raise Fenced(f"another live process uses the instance {self._instance}")
        self._state.check_same(self._ids, self._counts)

    def _committed(self, partition: Partition) -> int:
        return self._group.committed.get(partition, self._state.logs[partition].start)

    def _take(self) -> dict[Partition, Sequence[Record]]:
        self._lost |= self._changed
        self._changed = set()
        found: dict[Partition, Sequence[Record]] = {}
        for partition, position in self._positions.items():
            begin = self._state.go_on_at(partition, position)
            records = [] if partition in self._paused else self._state.logs[partition].fetched(begin)
            if records:
                found[partition] = records
                begin = records[-1].offset + 1
            self._positions[partition] = begin
        return found

    def _deal(self) -> None:
        members = list(self._group.members.values())
        for index, member in enumerate(members):
            member.assign(set(self._all[index :: len(members)]))
