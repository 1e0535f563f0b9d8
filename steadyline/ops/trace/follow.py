"""Read the topics for one frame, from the begin of its epoch on."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from steadyline.contracts.frame import FrameId
from steadyline.contracts.headers import parse_time
from steadyline.contracts.topics import Topics
from steadyline.errors import MalformedHeaders
from steadyline.kafka.broker import Broker, Partition, Reader, Record
from steadyline.kafka.dead_letters.letter import (
    REPLAYED_FROM,
    TopicPosition,
    frame_of,
    place_of,
    read_letter,
    texts,
)
from steadyline.kafka.offsets import read_one, start_offsets_for
from steadyline.kafka.record_times import EARLIEST, moment_of, with_skew
from steadyline.ops.audit.gather import Scope, clock_lead, gather, own_score, own_status
from steadyline.ops.audit.sighting import Epoch
from steadyline.ops.trace.incidents import incidents_of
from steadyline.ops.trace.timeline import (
    AccountedFate,
    FrameTimeline,
    PublishedSighting,
    ScoreSighting,
    accounted_fate,
)
from steadyline.telemetry.tracing import parse_traceparent

# Sightings of one kind that are kept: two are one too many for a frame, and a stranger may write any number.
MOST_SIGHTINGS = 100


def follow(broker: Broker, topics: Topics, group: str, frame: FrameId) -> FrameTimeline:
    """Return the timeline of a frame; raises BrokerUnavailable and ContractBroken.

    Reads all scores and dead letters since the frame's epoch began, by the broker's clock as far as the
    producer's account tells it. The frames themselves are large, so only those that scores and letters name
    are read, at their offsets. Only without a fate, or after a refusal, what ``group`` has not consumed yet
    is read too. A frame that is found nowhere is looked up in the account of its epoch, and the whole topics
    are searched for a frame that the account misses. The incidents of an anomalous frame are those that the
    topic of alerts names.
    """
    reader = broker.reader("steadyline-trace")
    try:
        return _Follower(broker, reader, topics, group, frame).timeline()
    finally:
        reader.close()


@dataclass(frozen=True, slots=True)
class _Follower:
    broker: Broker
    reader: Reader
    topics: Topics
    group: str
    frame: FrameId

    def timeline(self) -> FrameTimeline:
        """Read in the order of the audit, in which a status is older than what is read after it."""
        timeline = FrameTimeline(self.frame)
        since = with_skew(self.frame.began, self._take_statuses(timeline))
        committed = self.broker.committed_offsets(self.group)
        consumed = self.broker.start_offsets([self.topics.frames.name]) | committed
        self._take_scores(timeline, since)
        self._take_letters(timeline, since)
        self._take_sources(timeline, consumed)
        if not timeline.has_fate or timeline.letters:
            self._take_waiting(timeline, since, committed, consumed)
        if not timeline.has_fate:
            timeline.accounted_fate = self._accounted_fate()
            if timeline.accounted_fate == "missing":
                self._take_scores(timeline, EARLIEST)
                self._take_letters(timeline, EARLIEST)
                self._take_sources(timeline, consumed)
                if not timeline.published:
                    self._take_lost(timeline, consumed)
        if timeline.is_anomalous:
            timeline.incidents = incidents_of(self.reader.read(self.topics.alerts.name, since), self.frame)
        timeline.published.sort(key=lambda item: item.place)
        return timeline

    def _take_statuses(self, timeline: FrameTimeline) -> timedelta:
        """Take the account of the epoch; return how far its producer's clock was ahead of the broker's."""
        ahead = timedelta(0)
        epoch = Epoch(self.frame.camera, self.frame.epoch)
        for record in self.reader.read(self.topics.camera_status.name):
            status = own_status(record)
            if status is not None and Epoch(status.camera, status.epoch) == epoch:
                timeline.status, timeline.product = status, status.product
                ahead = clock_lead(status, record)
        return ahead

    def _take_scores(self, timeline: FrameTimeline, since: datetime) -> None:
        key, name = self.frame.camera.encode(), str(self.frame)
        needle = name.encode()
        for record in self.reader.read(self.topics.scores.name, since):
            if record.key != key or needle not in (record.value or b""):
                continue  # decoding every score of a day would take minutes
            score = own_score(record)
            if score is not None and score.frame == name and len(timeline.scores) < MOST_SIGHTINGS:
                timeline.scores.append(ScoreSighting(score, place_of(record), moment_of(record)))
                timeline.product, timeline.captured_at = score.product, score.captured_at
                _take_trace(timeline, texts(record))

    def _take_letters(self, timeline: FrameTimeline, since: datetime) -> None:
        for record in self.reader.read(self.topics.dead_letters.name, since):
            letter = read_letter(record)
            if letter.frame == self.frame and len(timeline.letters) < MOST_SIGHTINGS:
                timeline.letters.append(letter.without_bytes())
                _take_headers(timeline, texts(record))

    def _take_sources(self, timeline: FrameTimeline, consumed: Mapping[Partition, int]) -> None:
        """Read the frame where it was scored and where it was refused."""
        frames = self.topics.frames.name
        sources = {item.source for item in timeline.scores}
        sources |= {
            letter.source
            for letter in timeline.letters
            if letter.source is not None and letter.source_topic == frames
        }
        for source in sorted(sources):
            record = read_one(self.broker, self.reader, Partition(frames, source.partition), source.offset)
            if record is not None:
                self._take_frame(timeline, record, consumed)

    def _take_waiting(
        self,
        timeline: FrameTimeline,
        since: datetime,
        committed: Mapping[Partition, int],
        consumed: Mapping[Partition, int],
    ) -> None:
        """Read what the scorers have not consumed yet, on the frame's partition when it is known."""
        frames = self.topics.frames.name
        known = {letter.source.partition for letter in timeline.letters if letter.source is not None}
        start = {place: offset for place, offset in committed.items() if place.topic == frames}
        if known:
            start |= start_offsets_for(self.broker, frames, dict.fromkeys(known))
        for record in self.reader.read(frames, since, start):
            self._take_frame(timeline, record, consumed)

    def _take_lost(self, timeline: FrameTimeline, consumed: Mapping[Partition, int]) -> None:
        """Search for a frame that was consumed and has no fate."""
        for record in self.reader.read(self.topics.frames.name):
            self._take_frame(timeline, record, consumed)
            if timeline.published:
                return

    def _take_frame(self, timeline: FrameTimeline, record: Record, consumed: Mapping[Partition, int]) -> None:
        headers, place = texts(record), place_of(record)
        known = {item.place for item in timeline.published}
        if frame_of(headers) != self.frame or place in known or len(known) >= MOST_SIGHTINGS:
            return
        ahead = record.offset - consumed.get(record.partition, 0)
        timeline.published.append(
            PublishedSighting(
                place,
                len(record.value or b""),
                headers.get("content-type", ""),
                moment_of(record),
                ahead if ahead >= 0 else None,
                TopicPosition.parse(headers.get(REPLAYED_FROM, "")),
            )
        )
        _take_headers(timeline, headers)

    def _accounted_fate(self) -> AccountedFate | None:
        # The epoch is in ns, which a moment does not hold: rounded up, it would leave the epoch itself out.
        scope = Scope(self.group, self.frame.camera, self.frame.began - timedelta(seconds=1))
        gathered = gather(self.broker, self.topics, scope)
        epoch = Epoch(self.frame.camera, self.frame.epoch)
        seen = gathered.epochs.get(epoch)
        if seen is None or seen.status is None:
            return None
        account = next(account for account in gathered.accounts() if account.epoch == epoch)
        return accounted_fate(account, min(seen.scores, default=None), self.frame.sequence)


def _take_headers(timeline: FrameTimeline, headers: Mapping[str, str]) -> None:
    """Take what the frame's own headers say, unless a better source has said it."""
    timeline.product = timeline.product or headers.get("product", "")
    if timeline.captured_at is None:
        try:
            timeline.captured_at = parse_time(headers.get("ce_time", ""))
        except MalformedHeaders:
            timeline.captured_at = None  # this header may be the reason why the frame was refused
    _take_trace(timeline, headers)


def _take_trace(timeline: FrameTimeline, headers: Mapping[str, str]) -> None:
    context = parse_traceparent(headers.get("traceparent"))
    if timeline.trace_id is None and context is not None:
        timeline.trace_id = f"{context.trace_id:032x}"
