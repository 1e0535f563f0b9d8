"""Reads the topics for one frame, beginning when its epoch began."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from steadyline.contracts.camera_status import CameraStatus
from steadyline.contracts.frame import FrameId
from steadyline.contracts.headers import parse_time
from steadyline.contracts.score import Score
from steadyline.contracts.topics import Topics
from steadyline.errors import MalformedHeaders, MalformedMessage
from steadyline.kafka.broker import Broker, Partition, Reader, Record
from steadyline.ops.audit.gather import SKEW, Scope, gather
from steadyline.ops.audit.sighting import Epoch
from steadyline.ops.dead_letters.letter import (
    REPLAYED_FROM,
    Place,
    frame_of,
    moment_of,
    place_of,
    read_letter,
    texts,
)
from steadyline.ops.offsets import none_but, read_one
from steadyline.ops.trace.timeline import Published, Scored, Standing, Story, standing
from steadyline.telemetry.tracing import parse_traceparent

DAWN = datetime(1970, 1, 1, tzinfo=UTC)


def follow(broker: Broker, topics: Topics, group: str, frame: FrameId) -> Story:
    """Return the story of a frame; raises BrokerUnavailable and ContractBroken.

    Costs a read of the scores and the dead letters since the frame's epoch began. The frames themselves are
    large: those that scores and letters name are read at their places; only without a fate, or after a
    refusal, what ``group`` has not consumed yet is read too. A frame found nowhere is looked up in the
    account of its epoch, and one that the account misses on the whole topic.
    """
    reader = broker.reader("steadyline-trace")
    try:
        return _Follower(broker, reader, topics, group, frame).story()
    finally:
        reader.close()


@dataclass(frozen=True, slots=True)
class _Follower:
    broker: Broker
    reader: Reader
    topics: Topics
    group: str
    frame: FrameId

    @property
    def since(self) -> datetime:
        """From when on the frame may be on a topic."""
        return max(DAWN, datetime.fromtimestamp(self.frame.epoch / 1e9, UTC) - SKEW)

    def story(self) -> Story:
        """Read in the order of the audit: a status is older than what is read after it."""
        story = Story(self.frame)
        self._take_statuses(story)
        committed = self.broker.committed_offsets(self.group)
        consumed = self.broker.start_offsets([self.topics.frames.name]) | committed
        self._take_scores(story)
        self._take_letters(story)
        self._take_sources(story, consumed)
        if not story.has_fate or story.letters:
            self._take_waiting(story, committed, consumed)
        if not story.has_fate:
            story.standing = self._standing()
            if story.standing == "missing":
                self._take_lost(story, consumed)
        story.published.sort(key=lambda item: item.place)
        return story

    def _take_statuses(self, story: Story) -> None:
        for record in self.reader.read(self.topics.camera_status.name):
            try:
                status = CameraStatus.decode(record.value) if record.value is not None else None
            except MalformedMessage:
                continue
            if status is not None and (status.camera, status.epoch) == (self.frame.camera, self.frame.epoch):
                story.status, story.product = status, status.product

    def _take_scores(self, story: Story) -> None:
        key, name = self.frame.camera.encode(), str(self.frame)
        needle = name.encode()
        for record in self.reader.read(self.topics.scores.name, self.since):
            if record.key != key or needle not in (record.value or b""):
                continue  # decoding every score of a day would cost minutes
            try:
                score = Score.decode(record.value)
            except MalformedMessage:
                continue
            if score.frame == name:
                story.scores.append(Scored(score, place_of(record), moment_of(record)))
                story.product, story.captured_at = score.product, score.captured_at
                _take_trace(story, texts(record))

    def _take_letters(self, story: Story) -> None:
        for record in self.reader.read(self.topics.dead_letters.name, self.since):
            letter = read_letter(record)
            if letter.frame == self.frame:
                story.letters.append(letter.without_bytes())
                _take_headers(story, texts(record))

    def _take_sources(self, story: Story, consumed: Mapping[Partition, int]) -> None:
        """Look at the frame where it was scored and where it was refused."""
        frames = self.topics.frames.name
        sources = {item.source for item in story.scores}
        sources |= {
            letter.source
            for letter in story.letters
            if letter.source is not None and letter.source_topic == frames
        }
        for source in sorted(sources):
            record = read_one(self.broker, self.reader, Partition(frames, source.partition), source.offset)
            if record is not None:
                self._take_frame(story, record, consumed)

    def _take_waiting(
        self, story: Story, committed: Mapping[Partition, int], consumed: Mapping[Partition, int]
    ) -> None:
        """Look at what the scorers have yet to consume, on the frame's partition where that is known."""
        frames = self.topics.frames.name
        known = {letter.source.partition for letter in story.letters if letter.source is not None}
        start = {place: offset for place, offset in committed.items() if place.topic == frames}
        if known:
            start |= none_but(self.broker, frames, known)
        for record in self.reader.read(frames, self.since, start):
            self._take_frame(story, record, consumed)

    def _take_lost(self, story: Story, consumed: Mapping[Partition, int]) -> None:
        """Look for a frame that was consumed and has no fate."""
        for record in self.reader.read(self.topics.frames.name, self.since):
            self._take_frame(story, record, consumed)
            if story.published:
                return

    def _take_frame(self, story: Story, record: Record, consumed: Mapping[Partition, int]) -> None:
        headers, place = texts(record), place_of(record)
        if frame_of(headers) != self.frame or place in {item.place for item in story.published}:
            return
        ahead = record.offset - consumed.get(record.partition, 0)
        story.published.append(
            Published(
                place,
                len(record.value or b""),
                headers.get("content-type", ""),
                moment_of(record),
                ahead if ahead >= 0 else None,
                Place.parse(headers.get(REPLAYED_FROM, "")),
            )
        )
        _take_headers(story, headers)

    def _standing(self) -> Standing | None:
        scope = Scope(self.group, self.frame.camera, self.since)
        gathered = gather(self.broker, self.topics, scope)
        epoch = Epoch(self.frame.camera, self.frame.epoch)
        seen = gathered.epochs.get(epoch)
        if seen is None or seen.status is None:
            return None
        account = next(account for account in gathered.accounts() if account.epoch == epoch)
        return standing(account, min(seen.scores, default=None), self.frame.sequence)


def _take_headers(story: Story, headers: Mapping[str, str]) -> None:
    """Take what the frame's own headers say, where nothing better has said it."""
    story.product = story.product or headers.get("product", "")
    if story.captured_at is None:
        try:
            story.captured_at = parse_time(headers.get("ce_time", ""))
        except MalformedHeaders:
            story.captured_at = None  # it may be what the frame was refused for
    _take_trace(story, headers)


def _take_trace(story: Story, headers: Mapping[str, str]) -> None:
    context = parse_traceparent(headers.get("traceparent"))
    if story.trace_id is None and context is not None:
        story.trace_id = f"{context.trace_id:032x}"
