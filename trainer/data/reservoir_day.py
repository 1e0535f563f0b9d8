"""The frames of one camera that were scored on one day: those in quarantine, and those admitted. Pure."""

from dataclasses import dataclass, field
from datetime import datetime
from heapq import heapify, heappop, heappush

from trainer.data.lowest_ranks import LowestRanks
from trainer.data.sightings import Sighting


@dataclass(slots=True)
class ReservoirDay:
    """The frames of one camera that were scored on one day."""

    waiting: LowestRanks[Sighting]
    admitted: LowestRanks[Sighting]
    due: list[tuple[datetime, str]] = field(default_factory=list)  # a heap, by when the quarantine began

    def is_known(self, frame: str) -> bool:
        """Tell whether a frame is in."""
        return frame in self.waiting or frame in self.admitted

    def let_go(self, frame: str) -> bool:
        """Take a frame out; return whether it was in."""
        return self.waiting.remove(frame) or self.admitted.remove(frame)

    def wait(self, rank: int, seen: Sighting) -> Sighting | None:
        """Begin a quarantine; return the frame that finds no room for it."""
        heappush(self.due, (seen.since, seen.normal.frame))
        self._forget_gone()
        return self.waiting.add(rank, seen.normal.frame, seen)

    def next_due(self, until: datetime) -> Sighting | None:
        """Return a frame whose quarantine began by ``until`` and is over; it no longer waits."""
        while self.due and self.due[0][0] <= until:
            since, frame = heappop(self.due)
            seen = self.waiting.get(frame)
            if seen is not None and seen.since == since:
                self.waiting.remove(frame)
                return seen
        return None

    def _forget_gone(self) -> None:
        """Keep ``due`` about as short as what waits."""
        if len(self.due) > 2 * self.waiting.most:
            self.due = [entry for entry in self.due if entry[1] in self.waiting]
            heapify(self.due)
