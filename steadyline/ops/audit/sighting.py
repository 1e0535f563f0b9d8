"""What the topics show of one epoch of one camera: status, scores, dead letters, and waiting frames."""

from array import array
from dataclasses import dataclass, field
from datetime import timedelta

from steadyline.contracts.camera_status import CameraStatus
from steadyline.kafka.dead_letters.letter import TopicPosition


@dataclass(frozen=True, slots=True, order=True)
class Epoch:
    """One run of one camera."""

    camera: str
    number: int


@dataclass(frozen=True, slots=True)
class RefusedFrame:
    """A dead letter of frame ``sequence``; ``replayed_from`` is the earlier letter that it is a replay of."""

    sequence: int
    place: TopicPosition
    source: TopicPosition | None
    reason: str
    replayed_from: TopicPosition | None = None


@dataclass(frozen=True, slots=True)
class WaitingFrame:
    """A frame on its topic at or after the group's committed offset."""

    sequence: int
    place: TopicPosition
    replayed_from: TopicPosition | None = None


@dataclass(slots=True)
class Sightings:
    """Everything seen of one epoch; ``scores`` and ``sources`` are parallel lists in topic order.

    The topics go by the broker's clock, and the epoch's number and its status by the producer's, which is
    ``ahead`` of it.
    """

    status: CameraStatus | None = None
    ahead: timedelta = timedelta(0)
    scores: "array[int]" = field(default_factory=lambda: array("q"))
    sources: "array[int]" = field(default_factory=lambda: array("q"))  # offset on the frames topic
    partition: int | None = None
    refused: list[RefusedFrame] = field(default_factory=list)
    waiting: list[WaitingFrame] = field(default_factory=list)

    def add_score(self, sequence: int, source: TopicPosition) -> None:
        """Add a score of frame ``sequence``, read at ``source`` of the frames topic."""
        self.scores.append(sequence)
        self.sources.append(source.offset)
        self.partition = source.partition
