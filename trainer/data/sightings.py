"""Frames whose picture was kept, remembered for the day that somebody says what they show. Pure."""

from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime

from steadyline.contracts.frame import FrameId
from trainer.data.labels import MOST_LABELS, Label

MOST_SIGHTINGS = 2_000  # of one camera, of frames that nobody has labelled; about 0.7 kB each


@dataclass(frozen=True, slots=True)
class Normal:
    """One normal and where it came from; ``at`` is the broker's time of its score.

    ``admitted_at`` is the broker's time of the score whose reading ended the quarantine.
    """

    frame: str
    camera: str
    captured_at: datetime
    picture_uri: str
    picture_sha256: str
    model_version: int
    at: datetime
    admitted_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Sighting:
    """A frame with a picture that is its own, and what its score said of it.

    ``partition`` is where its score was read, ``confident`` whether it is normal by its score alone, and
    ``since`` the broker's time from which its quarantine counts.
    """

    frame: FrameId
    partition: int
    normal: Normal
    confident: bool
    since: datetime


@dataclass(frozen=True, slots=True)
class LabelledFrame:
    """What was said of a frame, and its picture as its score named it; None when that is not known."""

    label: Label
    seen: Normal | None


class FrameSightings:
    """The newest of each camera, and those that somebody labelled."""

    def __init__(self, most: int = MOST_SIGHTINGS, most_labelled: int = MOST_LABELS) -> None:
        self._most, self._most_labelled = most, most_labelled
        self._newest: dict[str, OrderedDict[str, Sighting]] = {}
        self._labelled: OrderedDict[str, Sighting] = OrderedDict()

    def remember(self, seen: Sighting, *, is_labelled: bool) -> None:
        """Note a frame; of the labelled ones, and of others of its camera, the oldest gives way."""
        if is_labelled:
            _put(self._labelled, seen, self._most_labelled)
        else:
            _put(self._newest.setdefault(seen.frame.camera, OrderedDict()), seen, self._most)

    def of(self, frame: FrameId) -> Sighting | None:
        """Return a frame that is remembered; None when it is not."""
        name = str(frame)
        return self._labelled.get(name) or self._newest.get(frame.camera, OrderedDict()).get(name)


def _put(found: OrderedDict[str, Sighting], seen: Sighting, most: int) -> None:
    found[str(seen.frame)] = seen
    found.move_to_end(str(seen.frame))
    if len(found) > most:
        found.popitem(last=False)
