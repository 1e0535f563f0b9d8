"""An honest day of one camera, to be spoiled by the tests."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import groupby
from typing import Literal

from hypothesis import strategies as st

from steadyline.contracts.camera_status import CameraStatus
from steadyline.kafka.dead_letters.letter import TopicPosition
from steadyline.ops.audit.sighting import Epoch, RefusedFrame, Sightings, WaitingFrame

Fate = Literal["scored", "dropped", "refused", "waiting", "pending"]
EPOCH = Epoch("east-1", 1_800_000_000_000_000_000)


@dataclass
class Day:
    """Fates of frames 1..n; frames that were published lie on partition 2 in order, offsets from 100."""

    fates: list[Fate]
    status: CameraStatus = field(init=False)
    seen: Sightings = field(init=False)

    def __post_init__(self) -> None:
        self.status = a_status(self.fates)
        self.seen = Sightings(status=self.status)
        offset = 100
        for sequence, fate in enumerate(self.fates, start=1):
            if fate in ("dropped", "pending"):
                continue
            place = TopicPosition(2, offset)
            offset += 1
            if fate == "scored":
                self.seen.add_score(sequence, place)
            elif fate == "refused":
                letter = TopicPosition(2, len(self.seen.refused))
                self.seen.refused.append(RefusedFrame(sequence, letter, place, "empty_picture"))
            else:
                self.seen.waiting.append(WaitingFrame(sequence, place))

    def of(self, fate: Fate) -> list[int]:
        """Return the sequences with this fate."""
        return [sequence for sequence, found in enumerate(self.fates, start=1) if found == fate]

    def forget_score(self, sequence: int) -> None:
        """A score is lost although its offset was committed."""
        index = self.seen.scores.index(sequence)
        del self.seen.scores[index], self.seen.sources[index]


def a_status(fates: list[Fate]) -> CameraStatus:
    """Return what the producer says of these fates."""
    numbers = Counter(fates)
    dropped = [sequence for sequence, fate in enumerate(fates, start=1) if fate == "dropped"]
    runs = []
    for _, group in groupby(enumerate(dropped), key=lambda item: item[1] - item[0]):
        members = [sequence for _, sequence in group]
        runs.append((members[0], members[-1], "drop_oldest"))
    return CameraStatus(
        camera=EPOCH.camera,
        product="cell",
        epoch=EPOCH.number,
        at=datetime(2027, 1, 15, 9, tzinfo=UTC),
        state="up",
        reason="capturing",
        sequence=len(fates),
        captured=len(fates),
        published=len(fates) - numbers["dropped"] - numbers["pending"],
        pending=numbers["pending"],
        dropped={"drop_oldest": len(dropped)} if dropped else {},
        dropped_sequences=runs,
    )


@st.composite
def days(
    draw: st.DrawFn, scored: int = 0, dropped: int = 0, waiting: int = 0, with_pending: bool = True
) -> Day:
    """Draw fates as they come: done, then waiting on the topic, then pending at the producer.

    At least so many frames are scored, dropped and waiting; none is pending unless ``with_pending``.
    """
    done = draw(st.lists(st.sampled_from(["scored", "scored", "scored", "dropped", "refused"]), max_size=25))
    for fate, least in (("scored", scored), ("dropped", dropped)):
        for _ in range(least - done.count(fate)):
            done.insert(draw(st.integers(0, len(done))), fate)
    on_topic = draw(st.lists(st.sampled_from(["waiting", "dropped"]), max_size=4))
    on_topic += ["waiting"] * (waiting - on_topic.count("waiting"))
    rest = ["pending", "dropped"] if with_pending else ["dropped"]
    at_producer = draw(st.lists(st.sampled_from(rest), max_size=4))
    return Day([*done, *on_topic, *at_producer])  # type: ignore[list-item]
