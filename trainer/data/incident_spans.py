"""From which frame to which each incident of a camera reaches. Pure.

A span only grows, so neither an alert that comes twice nor one that comes late makes a frame leave it.
"""

from bisect import bisect_left, bisect_right

from steadyline.contracts.frame import FrameId

MOST_SPANS = 2_048  # of one camera; the oldest frames give way
MOST_SPAN_CAMERAS = 64  # of a line file that lists none: their names then come from the wire

Place = tuple[int, int]  # epoch and sequence: the order in which a camera captures


def place_of(frame: FrameId) -> Place:
    """Return where a frame stands among those of its camera."""
    return frame.epoch, frame.sequence


class IncidentSpans:
    """The frames of all incidents, as spans of each camera that do not overlap."""

    def __init__(self) -> None:
        self._spans: dict[str, list[tuple[Place, Place]]] = {}
        self.forgotten = 0

    def add(self, first: FrameId, last: FrameId) -> bool:
        """Note that an incident reaches from one frame to another; return whether that was news."""
        begin, end = sorted((place_of(first), place_of(last)))
        if first.camera not in self._spans and len(self._spans) >= MOST_SPAN_CAMERAS:
            self.forgotten += 1
            return False
        spans = self._spans.setdefault(first.camera, [])
        before = bisect_left(spans, begin, key=lambda span: span[1])
        after = bisect_right(spans, end, key=lambda span: span[0])
        touched = spans[before:after]
        merged = (min([begin, *(span[0] for span in touched)]), max([end, *(span[1] for span in touched)]))
        if touched == [merged]:
            return False
        spans[before:after] = [merged]
        if len(spans) > MOST_SPANS:
            del spans[0]
            self.forgotten += 1
        return True

    def holds(self, frame: FrameId) -> bool:
        """Tell whether the frame lies within an incident of its camera."""
        spans, place = self._spans.get(frame.camera, []), place_of(frame)
        found = bisect_left(spans, place, key=lambda span: span[1])
        return found < len(spans) and spans[found][0] <= place
