"""The account of one epoch of one camera: what became of each captured frame. Thread-safe, no I/O."""

import threading
from dataclasses import dataclass
from datetime import datetime

from producers.accounting.ranges import Run, SequenceRanges


@dataclass(frozen=True, slots=True)
class Balance:
    """All counts at one moment: captured = published + sum(dropped.values()) + pending."""

    captured: int
    published: int
    pending: int
    dropped: dict[str, int]
    dropped_sequences: list[Run]
    oldest_pending: int  # the oldest sequence whose fate is open; captured + 1 when there is none
    oldest_pending_at: datetime | None


class EpochAccount:
    """Counts captured, published and dropped frames; all others are pending."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._captured = 0
        self._published = 0
        self._dropped = SequenceRanges()
        self._dropped_counts: dict[str, int] = {}
        self._pending: dict[int, datetime] = {}  # in order of sequence

    @classmethod
    def restore(cls, captured: int, dropped: SequenceRanges, pending: dict[int, datetime]) -> "EpochAccount":
        """Return an account in which frames are published unless they are dropped or pending."""
        account = cls()
        account._captured = captured
        account._dropped = dropped
        account._dropped_counts = dropped.counts()
        account._pending = dict(sorted(pending.items()))
        account._published = captured - sum(account._dropped_counts.values()) - len(pending)
        return account

    def capture(self, at: datetime) -> int:
        """Count one more captured frame and return its sequence."""
        with self._lock:
            self._captured += 1
            self._pending[self._captured] = at
            return self._captured

    def publish(self, sequence: int) -> bool:
        """Note that the broker has the frame; return False when its fate was known already."""
        with self._lock:
            if self._pending.pop(sequence, None) is None:
                return False
            self._published += 1
            return True

    def drop(self, sequence: int, reason: str) -> bool:
        """Note that the frame will never be published; return False when its fate was known already."""
        with self._lock:
            if self._pending.pop(sequence, None) is None:
                return False
            self._dropped.add(sequence, reason)
            self._dropped_counts[reason] = self._dropped_counts.get(reason, 0) + 1
            return True

    @property
    def dropped_ranges(self) -> int:
        """The number of runs of dropped frames so far."""
        with self._lock:
            return len(self._dropped)

    @property
    def pending(self) -> int:
        """The number of frames whose fate is open."""
        with self._lock:
            return len(self._pending)

    def balance(self) -> Balance:
        """Return all counts at one moment."""
        with self._lock:
            oldest, at = next(iter(self._pending.items()), (self._captured + 1, None))
            return Balance(
                self._captured,
                self._published,
                len(self._pending),
                dict(self._dropped_counts),
                self._dropped.as_list(),
                oldest,
                at,
            )
