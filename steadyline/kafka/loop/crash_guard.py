"""Counts how often an offset was in hand when a process ended, and refuses the record that ends them.

Nothing of a process runs when the kernel kills it, so the count is written before a record is handed out: it
stands as a note beside the committed offset of the group, and every commit clears it. See decision 16.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from steadyline.errors import BrokerUnavailable, EndedProcesses
from steadyline.kafka.broker import Partition, Record
from steadyline.kafka.loop.in_hand import WINDOW
from steadyline.telemetry.logs import get_logger

log = get_logger(__name__)

ENDED = 3  # processes, before records go one at a time, and again before the one alone in hand is refused


class NotedGroup(Protocol):
    """A member of a group, as far as the notes beside its offsets go; see ``Worker``, which is one."""

    @property
    def member(self) -> str:
        """Its id."""
        ...

    def members(self) -> frozenset[str]:
        """Return the ids of all live members; raises BrokerUnavailable."""
        ...

    def note(self, partition: Partition) -> str:
        """Return the note beside the committed offset."""
        ...

    def mark(self, partition: Partition, offset: int, note: str) -> bool:
        """Write a note for the record at ``offset``, which is the next one; return False when it was not."""
        ...


@dataclass(frozen=True, slots=True)
class InHandNote:
    """What stands beside a committed offset.

    ``count`` processes had its record in hand and did not commit it; ``member`` is the last of them in the
    group. Records before the offset ``until`` are handed out one at a time.
    """

    count: int = 0
    until: int = 0
    member: str = ""

    def encode(self) -> str:
        """Return the text; empty when there is nothing to say."""
        return f"{self.count} {self.until} {self.member}".strip() if self.count or self.until else ""

    @staticmethod
    def decode(text: str) -> "InHandNote":
        """Return what a text says; one that is not ours says nothing."""
        count, _, rest = text.partition(" ")
        until, _, member = rest.partition(" ")
        if not all(part.isascii() and part.isdigit() and len(part) < 19 for part in (count, until)):
            return InHandNote()
        return InHandNote(int(count), int(until), member)


@dataclass(slots=True)
class _WatchedRecord:
    """One partition: its note as it was found, and the offset of the mark that no commit has cleared."""

    count: int
    until: int
    marked: int | None = None
    is_known_good: bool = False  # something of it was committed: what is in hand now is not marked
    is_excused: bool = False  # what it had counted for this process is taken back


class CrashGuard:
    """The gate through which a loop hands its records out; used from one thread."""

    def __init__(self, worker: NotedGroup) -> None:
        self._worker = worker
        self._watched: dict[Partition, _WatchedRecord] = {}
        self._waiting: list[Partition] = []

    @property
    def has_marks(self) -> bool:
        """True while a mark stands that the next commit of its partition clears."""
        return any(watched.marked is not None for watched in self._watched.values())

    def look(self, first: Sequence[Record]) -> None:
        """Learn what is noted of the partitions that wait; until that is known none of them is admitted."""
        self._waiting = [record.partition for record in first if self._watch(record) is not None]

    def admits(self, record: Record, in_hand: int) -> bool:
        """Return True when a record may be handed out while ``in_hand`` others are.

        Raises EndedProcesses for the record that was alone in hand when process after process ended.
        """
        watched = self._watch(record)
        is_careful = self._is_careful()
        if watched is None or (in_hand and is_careful):
            return False
        if (
            is_careful and watched.until <= record.offset
        ):  # alone for another partition's sake, and alone it is
            watched.count, watched.until, watched.marked = 0, record.offset + 1, None
        if watched.marked == record.offset or (not is_careful and self._is_marked(watched)):
            return True
        if is_careful and watched.count >= ENDED:
            raise EndedProcesses(f"{watched.count} processes ended while it alone was in hand")
        return self._mark(watched, record)

    def notes(self, offsets: Mapping[Partition, int]) -> dict[Partition, str]:
        """Return what is to stand beside offsets that are about to be committed."""
        untils = {place: self._watched[place].until for place in offsets if place in self._watched}
        return {
            place: InHandNote(0, until).encode() for place, until in untils.items() if until > offsets[place]
        }

    def committed(self, offsets: Mapping[Partition, int]) -> None:
        """Note that offsets were committed, with their ``notes``."""
        for place, offset in offsets.items():
            watched = self._watched.get(place)
            if watched is not None:
                until = watched.until if watched.until > offset else 0
                self._watched[place] = _WatchedRecord(0, until, is_known_good=not until)

    def forget(self, partition: Partition) -> None:
        """Forget a partition that went elsewhere, or is read again; its mark stays."""
        self._watched.pop(partition, None)

    def excuse(self) -> None:
        """The record that is alone in hand, if one is, waits for something outside.

        When this process ends meanwhile, the record is not at fault: a full store, for one, would otherwise
        have every frame refused that it holds while people restart what does not go on.
        """
        if self._is_careful():
            self.withdraw()

    def withdraw(self) -> None:
        """Take back the marks of what is still in hand, because this process ends in order."""
        for place, watched in self._watched.items():
            if watched.marked is not None and not watched.is_excused:
                note = InHandNote(watched.count, watched.until).encode()
                watched.is_excused = self._worker.mark(place, watched.marked, note)

    def _watch(self, record: Record) -> _WatchedRecord | None:
        """Return what is known of the record's partition; None while it cannot be known."""
        place = record.partition
        if place not in self._watched:
            note = InHandNote.decode(self._worker.note(place))
            count = note.count
            try:
                if count and note.member in self._worker.members():
                    count -= 1  # who had it in hand lives: the partition came from there
            except BrokerUnavailable:
                return None
            until = note.until if note.until > record.offset else 0
            if count >= ENDED and not until:
                count, until = 0, record.offset + WINDOW
                log.warning(
                    "one_at_a_time",
                    partition=place.number,
                    offset=record.offset,
                    until=until,
                    ended=note.count,
                )
            self._watched[place] = _WatchedRecord(count, until)
        return self._watched[place]

    def _mark(self, watched: _WatchedRecord, record: Record) -> bool:
        note = InHandNote(watched.count + 1, watched.until, self._worker.member)
        if not self._worker.mark(record.partition, record.offset, note.encode()):
            return False
        watched.marked, watched.is_excused = record.offset, False
        return True

    def _is_careful(self) -> bool:
        """Return True while a record that is to be alone in hand waits or is there."""
        waits = any(place in self._watched and self._watched[place].until for place in self._waiting)
        return waits or any(
            watched.until and watched.marked is not None for watched in self._watched.values()
        )

    @staticmethod
    def _is_marked(watched: _WatchedRecord) -> bool:
        return watched.is_known_good or watched.marked is not None
