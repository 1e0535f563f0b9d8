"""What people have said of the frames of one product, as far as it is remembered. Pure.

The newest message of a frame counts, in the order of the topic. So many frames are remembered; the one that
was longest without a message gives way, so that reading the topic again, compacted or not, leaves the same.
"""

from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime

from steadyline.contracts.feedback import Feedback, FrameLabel, MarkedRegion
from steadyline.contracts.frame import FrameId

MOST_LABELS = 20_000  # frames of one product whose label is remembered
MOST_NOTE = 200  # characters of what was said with a label


@dataclass(frozen=True, slots=True)
class Label:
    """What was said of one frame; ``said_at`` is the writer's time and ``at`` the broker's."""

    frame: FrameId
    label: FrameLabel
    who: str
    said_at: datetime
    at: datetime
    region: MarkedRegion | None = None
    note: str | None = None

    @staticmethod
    def of(feedback: Feedback, at: datetime) -> "Label":
        """Return the label that a message gives, which the broker wrote ``at``.

        Raises MalformedHeaders when the message names no frame.
        """
        note = None if feedback.note is None else feedback.note[:MOST_NOTE]
        frame = FrameId.parse(feedback.frame)
        return Label(frame, feedback.label, feedback.who, feedback.at, at, feedback.region, note)


class LabelBook:
    """The newest label of each frame, those taken back included; ``revision`` grows with each message."""

    def __init__(self, most: int = MOST_LABELS) -> None:
        self._most, self._labels = most, OrderedDict[str, Label]()
        self.revision = 0
        self.forgotten = 0

    def put(self, label: Label) -> None:
        """Note the newest label of a frame."""
        name = str(label.frame)
        self._labels[name] = label
        self._labels.move_to_end(name)
        self.revision += 1
        if len(self._labels) > self._most:
            self._labels.popitem(last=False)
            self.forgotten += 1

    def of(self, frame: str) -> Label | None:
        """Return the newest label of a frame; None when nothing is known of it."""
        return self._labels.get(frame)

    def all(self) -> list[Label]:
        """Return every label that is remembered, those taken back included, oldest first."""
        return list(self._labels.values())

    def newer_than(self, moment: datetime) -> int:
        """Return how many frames were called good or a defect after ``moment`` by the broker's clock."""
        return sum(label.label != "withdrawn" and label.at > moment for label in self._labels.values())
