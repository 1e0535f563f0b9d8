"""What the rules are given: one message of a topic, and the scope of what is remembered for it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from steadyline.contracts.camera_status import CameraStatus
from steadyline.contracts.model_event import ModelEvent
from steadyline.contracts.score import Score


@dataclass(frozen=True, slots=True)
class ScoreSeen:
    """The score of a frame, the trace that the frame began, and whether the line file lists its camera."""

    score: Score
    traceparent: str | None
    is_listed: bool = True


@dataclass(frozen=True, slots=True)
class StatusSeen:
    """What a camera says of itself, and whether the line file lists it."""

    status: CameraStatus
    is_listed: bool = True


@dataclass(frozen=True, slots=True)
class ModelSeen:
    """What the trainer says of a product's models; only an event that was believed."""

    event: ModelEvent


@dataclass(frozen=True, slots=True)
class LineSeen:
    """What was measured of a line at a moment of our clock.

    ``frames`` and ``scores`` are the ends of their topics, summed over the partitions; ``lag`` is how many
    frames the scorers have not committed; ``letters`` are the dead letters since the measure before, by
    reason word.
    """

    line: str
    at: datetime
    frames: int
    scores: int
    lag: int
    letters: Mapping[str, int] = field(default_factory=dict)


Observation = ScoreSeen | StatusSeen | ModelSeen | LineSeen


def scope_of(observation: Observation) -> str:
    """Return what is remembered together: ``scores/c1``, ``status/c1``, ``model/cell`` or ``line/a``.

    All observations of one scope are on one partition of one topic, in their order; those of a line are made
    by one process at a time.
    """
    match observation:
        case ScoreSeen(score=score):
            return f"scores/{score.camera}"
        case StatusSeen(status=status):
            return f"status/{status.camera}"
        case ModelSeen(event=event):
            return f"model/{event.product}"
        case LineSeen(line=line):
            return f"line/{line}"
