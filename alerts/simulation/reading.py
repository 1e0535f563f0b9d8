"""Reads from the topics again what the intake has read, within bounds, and says how far it came."""

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from pydantic import AwareDatetime, Field

from alerts.incidents.observation import ModelSeen, ScoreSeen, StatusSeen
from alerts.intake.decode import RecordDecoder
from steadyline.clock import Clock
from steadyline.contracts.message import Part
from steadyline.contracts.model_event import ModelEvent
from steadyline.contracts.topics import Topics
from steadyline.errors import PoisonMessage, Transient
from steadyline.kafka.broker import Broker, Record
from steadyline.kafka.model_events import EventSeal, NewestEvents
from steadyline.line import Line

TopicWord = Literal["model-events", "camera-status", "scores"]
CutWord = Literal["messages", "seconds"]
TopicSeen = ScoreSeen | StatusSeen | ModelSeen
Decode = Callable[[Record], TopicSeen | None]

_BREATH = timedelta(milliseconds=1)  # for the other threads of the process, which have work that is urgent
_BREATH_EVERY = 200  # messages


class SimulationEnded(Transient):
    """The process stops, and with it what it simulates."""

    reason = "stopping"


class TopicRead(Part):
    """How far one topic was read."""

    topic: TopicWord = Field(description="Which of the topics that the rules see.")
    messages: int = Field(description="Messages read.")
    refused: int = Field(description="Messages passed over, because they do not fit or are not believed.")
    first: AwareDatetime | None = Field(description="When the first one happened that was taken.")
    last: AwareDatetime | None = Field(description="When the last one happened that was taken.")
    cut: CutWord | None = Field(description="The bound at which the reading was cut; null: read to the end.")


@dataclass(frozen=True, slots=True)
class TopicSpan:
    """A span of time, by the broker's clock; None is the begin, or the end, of the topics."""

    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class ReadingBounds:
    """The most that is read, all topics together."""

    messages: int = 1_000_000
    longest: timedelta = timedelta(seconds=60)


@dataclass(slots=True)
class _TopicCount:
    topic: TopicWord
    messages: int = 0
    refused: int = 0
    first: datetime | None = None
    last: datetime | None = None
    cut: CutWord | None = None

    def saw(self, observation: TopicSeen) -> None:
        at = moment_of(observation)
        self.first = at if self.first is None else min(self.first, at)
        self.last = at if self.last is None else max(self.last, at)

    def told(self) -> TopicRead:
        return TopicRead(
            topic=self.topic,
            messages=self.messages,
            refused=self.refused,
            first=self.first,
            last=self.last,
            cut=self.cut,
        )


@dataclass(slots=True)
class TopicReading:
    """One reading, from one thread; ``told`` says afterwards how far it came.

    A topic may take half of what is left of the bounds, the last one all of it: so the many statuses of the
    cameras leave room for their scores.
    """

    broker: Broker
    line: Line
    seal: EventSeal
    clock: Clock
    bounds: ReadingBounds
    stop: threading.Event
    client: str = "alerts-simulation"
    _counts: list[_TopicCount] = field(default_factory=list)
    _left: int = field(init=False)
    _end: float = field(init=False)
    _topics: Topics = field(init=False)
    _decoder: RecordDecoder = field(init=False)

    def __post_init__(self) -> None:
        self._left = self.bounds.messages
        self._end = self.clock.monotonic() + self.bounds.longest.total_seconds()
        self._topics, self._decoder = self.line.kafka_topics(), RecordDecoder(self.line, self.clock)

    def told(self) -> list[TopicRead]:
        """Return how far each topic was read so far."""
        return [count.told() for count in self._counts]

    def observations(self, span: TopicSpan) -> Iterator[TopicSeen]:
        """Yield what the rules would have been shown, those of one camera or product in their order.

        Raises BrokerUnavailable during an outage, and SimulationEnded at a stop.
        """
        yield from self._events(span)
        yield from self._topic("camera-status", self._decoder.status, span)
        yield from self._topic("scores", self._decoder.score, span)

    def scores(self, span: TopicSpan, key: bytes) -> Iterator[ScoreSeen]:
        """Yield the scores under one key; those of others are read and not decoded."""

        def decode(record: Record) -> TopicSeen | None:
            return self._decoder.score(record) if record.key == key else None

        for seen in self._topic("scores", decode, span):
            assert isinstance(seen, ScoreSeen)
            yield seen

    def _events(self, span: TopicSpan) -> Iterator[TopicSeen]:
        """Yield model events; whether one is believed depends on all before it, so all are read."""
        newest = NewestEvents(self.seal)
        since = span.since.timestamp() * 1000 if span.since is not None else 0

        def decode(record: Record) -> TopicSeen | None:
            event = ModelEvent.decode(record.value)
            newest.admit(record, event)
            return self._decoder.event(event) if record.timestamp_ms >= since else None

        yield from self._topic("model-events", decode, TopicSpan(None, span.until))

    def _topic(self, word: TopicWord, decode: Decode, span: TopicSpan) -> Iterator[TopicSeen]:
        count = _TopicCount(word)
        self._counts.append(count)
        is_last = word == "scores"
        now = self.clock.monotonic()
        most = self._left if is_last else self._left // 2
        end = self._end if is_last else now + (self._end - now) / 2
        with closing(self.broker.reader(self.client)) as reader:
            for record in reader.read(_name(self._topics, word), span.since, until=span.until):
                count.cut = self._cut(count, most, end)
                if count.cut is not None:
                    break
                count.messages += 1
                observation = _decoded(record, decode, count)
                if observation is not None:
                    count.saw(observation)
                    yield observation
                if count.messages % _BREATH_EVERY == 0 and self.stop.wait(_BREATH.total_seconds()):
                    raise SimulationEnded("the process stops")
        self._left -= count.messages

    def _cut(self, count: _TopicCount, most: int, end: float) -> CutWord | None:
        if count.messages >= most:
            return "messages"
        return "seconds" if self.clock.monotonic() >= end else None


def moment_of(observation: TopicSeen) -> datetime:
    """Return when it happened, by the clock of whoever says it."""
    match observation:
        case ScoreSeen(score=score):
            return score.captured_at
        case StatusSeen(status=status):
            return status.at
        case ModelSeen(event=event):
            return event.at


def _decoded(record: Record, decode: Decode, count: _TopicCount) -> TopicSeen | None:
    try:
        record.check()
        return decode(record)
    except PoisonMessage:
        count.refused += 1
        return None


def _name(topics: Topics, word: TopicWord) -> str:
    match word:
        case "model-events":
            return topics.model_events.name
        case "camera-status":
            return topics.camera_status.name
        case "scores":
            return topics.scores.name
