"""Everything known of one frame, and the one word for what became of it."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from steadyline.contracts.camera_status import CameraStatus
from steadyline.contracts.frame import FrameId
from steadyline.contracts.score import Score
from steadyline.kafka.dead_letters.letter import Letter, TopicPosition
from steadyline.ops.audit.account import EpochFates
from steadyline.ops.trace.incidents import IncidentSighting

Fate = Literal[
    "scored", "dropped", "dead-lettered", "waiting", "pending", "expired", "missing", "doubled", "unknown"
]
# Where the account of its epoch places a frame that is on no topic.
AccountedFate = Literal["pending", "expired", "missing", "beyond"]


@dataclass(frozen=True, slots=True)
class PublishedSighting:
    """The frame on its topic; ``ahead`` counts the frames before it that the scorers have not taken yet."""

    place: TopicPosition
    size: int
    content_type: str
    at: datetime
    ahead: int | None = None
    replayed_from: TopicPosition | None = None

    @property
    def is_waiting(self) -> bool:
        """True while the scorers have not consumed the frame."""
        return self.ahead is not None


@dataclass(frozen=True, slots=True)
class ScoreSighting:
    """A score of the frame, and the time at which it was on its topic."""

    score: Score
    place: TopicPosition
    at: datetime

    @property
    def source(self) -> TopicPosition:
        """Where the scorer read the frame."""
        return TopicPosition(self.score.source_partition, self.score.source_offset)


@dataclass(slots=True)
class FrameTimeline:
    """All sightings of one frame, each kind in the order of its topic."""

    frame: FrameId
    status: CameraStatus | None = None
    product: str = ""
    captured_at: datetime | None = None
    trace_id: str | None = None
    published: list[PublishedSighting] = field(default_factory=list)
    scores: list[ScoreSighting] = field(default_factory=list)
    letters: list[Letter] = field(default_factory=list)
    accounted_fate: AccountedFate | None = None
    incidents: list[IncidentSighting] = field(default_factory=list)
    deliveries_unknown: str | None = None  # why nobody was asked what became of the deliveries, in words

    @property
    def is_anomalous(self) -> bool:
        """True when a model judged the frame anomalous."""
        return any(item.score.verdict == "anomalous" for item in self.scores)

    @property
    def dropped(self) -> str | None:
        """Why the producer dropped the frame, or None when it did not."""
        runs = self.status.dropped_sequences if self.status is not None else []
        return next((why for first, last, why in runs if first <= self.frame.sequence <= last), None)

    @property
    def has_fate(self) -> bool:
        """True when a topic tells what became of the frame."""
        return bool(self.dropped or self.scores or self.letters or self.waiting())

    def waiting(self) -> list[PublishedSighting]:
        """Return where the frame waits, leaving out what was scored or refused while the topics were read."""
        taken = {item.source for item in self.scores} | {letter.source for letter in self.letters}
        return [item for item in self.published if item.is_waiting and item.place not in taken]

    def refusals(self) -> list[Letter]:
        """Return the letters that were neither replayed nor followed by a score."""
        marks = {letter.replayed_from for letter in self.letters}
        marks |= {item.replayed_from for item in self.published}

        def is_scored_since(letter: Letter) -> bool:
            at = letter.source.offset if letter.source is not None else -1
            return any(item.source.offset > at for item in self.scores)

        return [
            letter for letter in self.letters if letter.place not in marks and not is_scored_since(letter)
        ]

    @property
    def fate(self) -> Fate:
        """What became of the frame; ``doubled`` when it has more than one fate."""
        found: list[Fate] = ["dropped"] if self.dropped else []
        found += ["scored"] * len(self.scores)
        found += ["dead-lettered"] * len(self.refusals())
        found += ["waiting"] * len(self.waiting())
        if len(found) > 1:
            return "doubled"
        if found:
            return found[0]
        if self.letters:
            return "missing"  # it was replayed, and nothing followed
        placed = self.accounted_fate
        return "unknown" if placed is None or placed == "beyond" else placed

    @property
    def is_sound(self) -> bool:
        """True when the frame is known and has one fate, or is on its way to one."""
        return self.fate not in ("unknown", "missing", "doubled")


def accounted_fate(account: EpochFates, oldest_score: int | None, sequence: int) -> AccountedFate:
    """Return where the account of its epoch places a frame without a fate.

    ``oldest_score`` is the smallest scored sequence of the epoch, or None when there is none.
    """
    if sequence > account.captured:
        return "beyond"
    if any(first <= sequence <= last for first, last in account.missing):
        return "missing"
    is_expired = account.expired and (oldest_score is None or sequence < oldest_score)
    return "expired" if is_expired else "pending"
