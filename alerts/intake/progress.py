"""How far this process has come on each of its partitions, for whoever lets time pass."""

import threading
from collections import Counter
from collections.abc import Collection, Mapping
from datetime import timedelta

from steadyline.clock import Clock
from steadyline.kafka.broker import Partition

QUIET = timedelta(seconds=5)  # a partition that delivers nothing for so long has nothing: fetches take 0.5 s


class IntakeProgress:
    """Kept by the loop, read by others; thread-safe.

    Time may pass only for what has been read to its end: otherwise a camera would count as silent whose
    statuses wait on their topic. The end of a topic is no offset that a reader reaches, for markers of
    transactions stand there too; so a partition is also at its end when it has long delivered nothing.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._since: dict[Partition, float] = {}  # it is ours, and has delivered nothing since
        self._next: dict[Partition, int] = {}
        self._in_hand: Counter[Partition] = Counter()

    def turned(self, assigned: Collection[Partition], lost: Collection[Partition]) -> None:
        """Note which partitions are ours after a poll that the broker has answered."""
        now = self._clock.monotonic()
        with self._lock:
            for place in [*lost, *(self._since.keys() - set(assigned))]:
                self._since.pop(place, None)
                self._next.pop(place, None)
                self._in_hand.pop(place, None)
            for place in assigned:
                self._since.setdefault(place, now)

    def read(self, partition: Partition, records: int) -> None:
        """Note that so many records were delivered."""
        with self._lock:
            self._since[partition] = self._clock.monotonic()
            self._in_hand[partition] += records

    def taken(self, counts: Mapping[Partition, int], offsets: Mapping[Partition, int]) -> None:
        """Note that so many records are in the database, and the next offsets behind them."""
        with self._lock:
            self._in_hand.subtract(counts)
            self._next.update(offsets)

    def interrupted(self) -> None:
        """Note that the broker or the database is away, or that everything is read again."""
        now = self._clock.monotonic()
        with self._lock:
            self._since = dict.fromkeys(self._since, now)
            self._next.clear()

    def forgotten(self) -> None:
        """Note that nothing is in hand any more: it is read again."""
        self.interrupted()
        with self._lock:
            self._in_hand.clear()

    def at_end(self, ends: Mapping[Partition, int]) -> list[Partition]:
        """Return our partitions that are read to ``ends``, which were asked for some time ago."""
        quiet_since = self._clock.monotonic() - QUIET.total_seconds()
        with self._lock:
            return [
                place
                for place, since in self._since.items()
                if self._next.get(place, 0) >= ends.get(place, 1 << 63)
                or (since <= quiet_since and self._in_hand[place] == 0)
            ]

    def next_offsets(self) -> dict[Partition, int]:
        """Return the next offset of our partitions of which something was taken."""
        with self._lock:
            return dict(self._next)
