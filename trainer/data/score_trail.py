"""The recent scores of each camera, from which its threshold follows the stream: bounded, one of each part.
Pure.

Each hour of a camera, by the broker's clock, keeps the scores with the lowest ranks, under the key that no
writer of a topic knows: whoever sends a thousand times as many gets no hour but their own, and no camera but
their own.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from steadyline.contracts.frame import FrameId
from trainer.data.lowest_ranks import LowestRanks

HOURS = 24  # that are kept
SCORES_AN_HOUR = 48  # of one camera: 1,152 in all, about 0.4 MB
_LOOKED_BACK = 2  # hours in which a frame lies that is let go of right after it was read


@dataclass(frozen=True, slots=True)
class TrailScore:
    """One raw score; ``name`` is that of the part, or of the frame where it names none.

    ``at`` is the broker's time.
    """

    frame: FrameId
    name: str
    score: float
    model_version: int
    threshold_version: int
    at: datetime

    @property
    def hour(self) -> int:
        """The hour that it was written in."""
        return int(self.at.timestamp() // 3600)


class ScoreTrail:
    """The last day of scores; ``rank`` gives a name a number that nobody outside can foresee."""

    def __init__(self, rank: Callable[[str], int]) -> None:
        self._rank = rank
        self._cameras: dict[str, dict[int, LowestRanks[TrailScore]]] = {}

    def add(self, seen: TrailScore) -> None:
        """Take a score in, unless its part was seen within the hour; hours that are over a day old leave."""
        hours = self._cameras.setdefault(seen.frame.camera, {})
        if seen.hour not in hours:
            newest = max([*hours, seen.hour])
            hours[seen.hour] = LowestRanks(SCORES_AN_HOUR)
            for hour in [hour for hour in hours if hour <= newest - HOURS]:
                del hours[hour]
        kept = hours.get(seen.hour)
        if kept is not None and seen.name not in kept:
            kept.add(self._rank(f"trail {seen.frame.camera} {seen.name}"), seen.name, seen)

    def let_go(self, frame: FrameId) -> None:
        """Take out a frame that was read a moment ago, if it is in."""
        hours = self._cameras.get(frame.camera, {})
        for hour in sorted(hours)[-_LOOKED_BACK:]:
            for name in [seen.name for seen in hours[hour] if seen.frame == frame]:
                hours[hour].remove(name)

    def cameras(self) -> list[str]:
        """Return the cameras that scores were read of."""
        return sorted(self._cameras)

    def of(self, camera: str, since: datetime) -> list[TrailScore]:
        """Return the scores of a camera that were written after ``since``, by time, one of each part."""
        hours = self._cameras.get(camera, {})
        found: dict[str, TrailScore] = {}
        for hour in sorted(hours):
            for seen in sorted(hours[hour], key=lambda seen: seen.at):
                if seen.at > since:
                    found.setdefault(seen.name, seen)
        return list(found.values())
