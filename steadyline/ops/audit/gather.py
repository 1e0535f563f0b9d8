"""Read the topics in an order that raises no false alarm on a running line."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import chain

from steadyline.contracts.camera_status import CameraStatus
from steadyline.contracts.frame import FrameId
from steadyline.contracts.score import Score
from steadyline.contracts.topics import Topics
from steadyline.errors import MalformedHeaders, MalformedMessage
from steadyline.kafka.broker import Broker, Record
from steadyline.kafka.dead_letters.letter import (
    REPLAYED_FROM,
    TopicPosition,
    frame_of,
    place_of,
    read_letter,
    texts,
)
from steadyline.kafka.record_times import first_kept_ms, moment_of, with_skew
from steadyline.ops.audit.account import EpochFates, settle
from steadyline.ops.audit.sighting import Epoch, RefusedFrame, Sightings, WaitingFrame

MOST = (1 << 62) - 1  # the largest number of a message that is counted with; arrays hold 63 bits


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

    def read_since(self, ahead: timedelta) -> datetime | None:
        """Return from when on to read the topics; producers' clocks are ``ahead`` of the broker's."""
        return None if self.since is None else with_skew(self.since, ahead)


def clock_lead(status: CameraStatus, record: Record) -> timedelta:
    """Return how far a producer's clock was ahead of the broker's, at a status or at the epoch's begin.

    A clock that was set back within the epoch is seen only when the epoch seems to begin after its status.
    """
    began, written = datetime.fromtimestamp(status.epoch / 1e9, UTC), moment_of(record)
    return max(timedelta(0), began - written, status.at - written)


@dataclass(slots=True)
class Gathered:
    """All sightings, and everything that could not be attributed to a frame.

    A status or a score is foreign when no producer and no scorer writes such a one: it does not fit its
    contract, it lies under the key or on the partition of another camera, or its numbers are beyond all use.
    """

    epochs: dict[Epoch, Sightings] = field(default_factory=dict)
    foreign_statuses: int = 0
    foreign_scores: int = 0
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
        ahead_ms = seen.ahead.total_seconds() * 1000
        if seen.scores:
            kept = self.first_kept_ms.get(seen.partition if seen.partition is not None else -1)
            began_ms = epoch.number // 1_000_000 - ahead_ms
            return min(seen.scores) if kept is not None and began_ms < kept else 0
        if seen.status is None or not self.first_kept_ms:
            return 0
        ended_ms = seen.status.at.timestamp() * 1000 - ahead_ms
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
        ahead = max((seen.ahead for seen in gathered.epochs.values()), default=timedelta(0))
        since = scope.read_since(ahead)
        committed = broker.committed_offsets(scope.group)
        gathered.first_kept_ms = first_kept_ms(broker, reader, topics.scores.name)
        _take_scores(reader.read(topics.scores.name, since), scope, gathered)
        _take_letters(reader.read(topics.dead_letters.name, since), scope, gathered)
        start = {place: offset for place, offset in committed.items() if place.topic == topics.frames.name}
        _take_frames(reader.read(topics.frames.name, since, start), scope, gathered)
    finally:
        reader.close()
    return gathered


def _take_statuses(records: Iterable[Record], scope: Scope, gathered: Gathered) -> None:
    for record in records:
        if record.value is None:
            continue
        status = own_status(record)
        if status is None:
            gathered.foreign_statuses += 1
            continue
        epoch = Epoch(status.camera, status.epoch)
        if scope.holds(epoch):
            seen = gathered.of(epoch)
            seen.status, seen.ahead = status, clock_lead(status, record)


def own_status(record: Record) -> CameraStatus | None:
    """Return the status of a record; None when it is foreign."""
    try:
        status = CameraStatus.decode(record.value)
    except MalformedMessage:
        return None
    runs = (number for first, last, _ in status.dropped_sequences for number in (first, last))
    counts = (status.epoch, status.sequence, status.captured, status.published, status.pending)
    are_usable = all(abs(number) <= MOST for number in chain(counts, status.dropped.values(), runs))
    is_own = record.key == f"{status.camera}/{status.epoch}".encode()
    return status if are_usable and is_own else None


def _take_scores(records: Iterable[Record], scope: Scope, gathered: Gathered) -> None:
    for record in records:
        score = own_score(record)
        if score is None:
            gathered.foreign_scores += 1
            continue
        frame = FrameId.parse(score.frame)
        epoch = Epoch(frame.camera, frame.epoch)
        if scope.holds(epoch):
            source = TopicPosition(score.source_partition, score.source_offset)
            gathered.of(epoch).add_score(frame.sequence, source)


def own_score(record: Record) -> Score | None:
    """Return the score of a record; None when it is foreign."""
    try:
        score = Score.decode(record.value)
        frame = FrameId.parse(score.frame)
    except (MalformedMessage, MalformedHeaders):
        return None
    is_own = record.key == frame.camera.encode() and score.source_partition == record.partition.number
    return score if is_own and score.source_offset <= MOST else None


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
