"""Read the topics in an order that raises no false alarm on a running line."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from steadyline.contracts.camera_status import CameraStatus
from steadyline.contracts.frame import FrameId
from steadyline.contracts.score import Score
from steadyline.contracts.topics import Topics
from steadyline.errors import MalformedHeaders, MalformedMessage
from steadyline.kafka.broker import Broker, Reader, Record
from steadyline.ops.audit.account import EpochFates, settle
from steadyline.ops.audit.sighting import Epoch, RefusedFrame, Sightings, WaitingFrame
from steadyline.ops.dead_letters.letter import (
    REPLAYED_FROM,
    TopicPosition,
    frame_of,
    place_of,
    read_letter,
    texts,
)

MOST_SEQUENCES = 1 << 62
SKEW = timedelta(minutes=5)  # clocks of producers, scorers and broker must differ by less than this


@dataclass(frozen=True, slots=True)
class Scope:
    """What to audit: one ``camera`` or all, epochs begun ``since`` then or all; ``group`` scores them."""

    group: str
    camera: str | None = None
    since: datetime | None = None

    def holds(self, epoch: Epoch) -> bool:
        """Tell whether the epoch belongs to the audit."""
        is_recent = self.since is None or epoch.number >= int(self.since.timestamp() * 1e9)
        return is_recent and self.camera in (None, epoch.camera)

    @property
    def read_since(self) -> datetime | None:
        """The time from which on the topics must be read."""
        return None if self.since is None else self.since - SKEW


@dataclass(slots=True)
class Gathered:
    """All sightings, and everything that could not be attributed to a frame."""

    epochs: dict[Epoch, Sightings] = field(default_factory=dict)
    unreadable_statuses: int = 0
    unreadable_scores: int = 0
    nameless_letters: int = 0
    first_kept_ms: dict[int, int] = field(default_factory=dict)  # for partitions with deleted scores

    def of(self, epoch: Epoch) -> Sightings:
        """Return the sightings of one epoch; they are empty when it was never seen."""
        return self.epochs.setdefault(epoch, Sightings())

    def accounts(self) -> list[EpochFates]:
        """Settle every epoch, ordered by camera and time."""
        return [settle(epoch, seen, self._expired_below(epoch, seen)) for epoch, seen in self._ordered()]

    def _ordered(self) -> list[tuple[Epoch, Sightings]]:
        return sorted(self.epochs.items(), key=lambda item: item[0])

    def _expired_below(self, epoch: Epoch, seen: Sightings) -> int:
        """Return the sequence below which retention may have deleted scores, or 0 when it has not."""
        if seen.scores:
            kept = self.first_kept_ms.get(seen.partition if seen.partition is not None else -1)
            began_ms = epoch.number // 1_000_000
            return min(seen.scores) if kept is not None and began_ms < kept else 0
        if seen.status is None or not self.first_kept_ms:
            return 0
        ended_ms = seen.status.at.timestamp() * 1000
        return seen.status.sequence + 1 if ended_ms < max(self.first_kept_ms.values()) else 0


def gather(broker: Broker, topics: Topics, scope: Scope) -> Gathered:
    """Read the topics; raises BrokerUnavailable and ContractBroken.

    The order matters. A status is older than what is read after it, so every frame that it counts as
    published is found. The committed offsets are read before the scores: the score of any frame before them
    was written in the same transaction. The frames are read last, from the committed offsets on, and what is
    not scored by then is waiting there. Frames before the committed offsets need not be read, because their
    fates tell everything.
    """
    gathered = Gathered()
    reader = broker.reader("steadyline-audit")
    try:
        _take_statuses(reader.read(topics.camera_status.name), scope, gathered)
        committed = broker.committed_offsets(scope.group)
        gathered.first_kept_ms = first_kept_ms(broker, reader, topics.scores.name)
        _take_scores(reader.read(topics.scores.name, scope.read_since), scope, gathered)
        _take_letters(reader.read(topics.dead_letters.name, scope.read_since), scope, gathered)
        start = {place: offset for place, offset in committed.items() if place.topic == topics.frames.name}
        _take_frames(reader.read(topics.frames.name, scope.read_since, start), scope, gathered)
    finally:
        reader.close()
    return gathered


def _take_statuses(records: Iterable[Record], scope: Scope, gathered: Gathered) -> None:
    for record in records:
        if record.value is None:
            continue
        try:
            status = CameraStatus.decode(record.value)
        except MalformedMessage:
            gathered.unreadable_statuses += 1
            continue
        epoch = Epoch(status.camera, status.epoch)
        if status.sequence > MOST_SEQUENCES:
            gathered.unreadable_statuses += 1
        elif scope.holds(epoch):
            gathered.of(epoch).status = status


def _take_scores(records: Iterable[Record], scope: Scope, gathered: Gathered) -> None:
    for record in records:
        try:
            score = Score.decode(record.value)
            frame = FrameId.parse(score.frame)
        except (MalformedMessage, MalformedHeaders):
            gathered.unreadable_scores += 1
            continue
        epoch = Epoch(frame.camera, frame.epoch)
        if scope.holds(epoch):
            source = TopicPosition(score.source_partition, score.source_offset)
            gathered.of(epoch).add_score(frame.sequence, source)


def _take_letters(records: Iterable[Record], scope: Scope, gathered: Gathered) -> None:
    for record in records:
        letter = read_letter(record)
        if letter.frame is None:
            gathered.nameless_letters += 1
            continue
        epoch = Epoch(letter.frame.camera, letter.frame.epoch)
        if scope.holds(epoch):
            refused = RefusedFrame(
                letter.frame.sequence, letter.place, letter.source, letter.reason, letter.replayed_from
            )
            gathered.of(epoch).refused.append(refused)


def _take_frames(records: Iterable[Record], scope: Scope, gathered: Gathered) -> None:
    for record in records:
        headers = texts(record)
        frame = frame_of(headers)
        if frame is None:
            continue  # the scorers will make it a dead letter
        epoch = Epoch(frame.camera, frame.epoch)
        if scope.holds(epoch):
            mark = TopicPosition.parse(headers.get(REPLAYED_FROM, ""))
            gathered.of(epoch).waiting.append(WaitingFrame(frame.sequence, place_of(record), mark))


def first_kept_ms(broker: Broker, reader: Reader, topic: str) -> dict[int, int]:
    """Return the time of the first record by partition, for partitions whose oldest records are deleted.

    A partition of which nothing is left is not included.
    """
    starts, ends = broker.start_offsets([topic]), broker.end_offsets([topic])
    cut = {place.number for place, offset in starts.items() if 0 < offset < ends[place]}
    if not cut:
        return {}
    begin = {place: starts[place] if place.number in cut else end for place, end in ends.items()}
    found: dict[int, int] = {}
    for record in reader.read(topic, start=begin):
        found.setdefault(record.partition.number, record.timestamp_ms)
        if found.keys() >= cut:
            break
    return found
