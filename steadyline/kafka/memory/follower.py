"""Reading several topics of the in-memory twin from positions of the caller's own."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from steadyline.kafka.broker import Partition, Record
from steadyline.kafka.memory.log import MemoryState


class MemoryFollower:
    """See ``Follower``. The twin writes no markers: a position lies right behind the last record."""

    def __init__(self, state: MemoryState, topics: Sequence[str], start: Mapping[Partition, int]) -> None:
        self._state, self._topics, self._start = state, list(topics), dict(start)
        self._positions: dict[Partition, int] = {}
        self._first_ends: dict[Partition, int] = {}
        self._ids: dict[str, str] = {}

    def poll(self, wait: timedelta) -> Sequence[Record]:
        with self._state.lock:
            self._state.check()
            self._find()
            found = self._take()
            if not found and self._state.arrived.wait(wait.total_seconds()):
                self._state.check()
                found = self._take()
            return found

    def positions(self) -> dict[Partition, int]:
        return dict(self._positions)

    def is_at_end(self) -> bool:
        return bool(self._positions) and all(
            self._positions[place] >= end for place, end in self._first_ends.items()
        )

    def close(self) -> None:
        """Nothing to close."""

    def _find(self) -> None:
        """Read every partition that the topics have by now; the first time says where their end is."""
        self._state.check_same(self._ids, {})
        is_first = not self._positions
        for place in self._state.partitions(self._topics):
            if is_first:
                self._first_ends[place] = self._state.logs[place].end
                self._ids[place.topic] = self._state.topic_ids[place.topic]
            self._positions.setdefault(place, self._start.get(place, self._state.logs[place].start))

    def _take(self) -> list[Record]:
        found: list[Record] = []
        for place, position in self._positions.items():
            log = self._state.logs[place]
            begin = self._state.go_on_at(place, position)
            fetched = log.fetched(begin)
            found += fetched
            self._positions[place] = fetched[-1].offset + 1 if fetched else begin
        return found
