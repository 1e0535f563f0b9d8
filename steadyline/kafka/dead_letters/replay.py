"""Finds dead letters, tells what became of their replays, and writes refused frames back to their topic."""

import heapq
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from steadyline.contracts.score import Score
from steadyline.contracts.topics import Topics
from steadyline.errors import Backpressure, Fatal, MalformedMessage, PictureTooLarge, Transient
from steadyline.kafka.broker import Broker, Partition, Publisher, Reader, Record
from steadyline.kafka.dead_letters.letter import (
    REPLAYED_FROM,
    Letter,
    TopicPosition,
    frame_of,
    place_of,
    read_letter,
    replay,
    texts,
)
from steadyline.kafka.offsets import start_offsets_for
from steadyline.kafka.record_times import first_kept_ms, with_skew

CLIENT = "steadyline-dlq"
SENT_WITHIN = timedelta(seconds=30)

State = Literal["waiting", "scored", "refused", "unknown"]


@dataclass(frozen=True, slots=True)
class Replay:
    """The outcome of a letter's replay.

    ``place`` is where on the frames topic the frame waits or was scored; when the frame was refused again, it
    is the place of the later letter. ``unknown`` means that the scores of that time are deleted, so that
    nobody can tell whether there was a replay.
    """

    state: State
    place: TopicPosition | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """A choice of letters: those written ``since`` a moment that fit every other field that is given."""

    places: frozenset[TopicPosition] = frozenset()
    reason: str | None = None
    camera: str | None = None
    since: datetime | None = None

    def holds(self, letter: Letter) -> bool:
        """Return True when the letter is chosen."""
        return (
            (not self.places or letter.place in self.places)
            and self.reason in (None, letter.reason)
            and self.camera in (None, letter.camera)
        )

    def begin(self) -> dict[int, int] | None:
        """Return partition → first offset to read; None when every partition is to be read."""
        if not self.places:
            return None
        return {number: offset for number, offset in sorted(self.places, reverse=True)}


@dataclass(slots=True)
class ChosenLetters:
    """The chosen letters without their bytes, oldest first; ``matching`` also counts those left out."""

    letters: list[Letter] = field(default_factory=list)
    replays: dict[TopicPosition, Replay] = field(default_factory=dict)
    matching: int = 0
    reasons: Counter[str] = field(default_factory=Counter)  # counts all letters that were read
    partitions: int = 0  # of the topic that they are replayed to

    def refusal(self, letter: Letter, frames: str, again: bool) -> str:
        """Return why the letter is not to be replayed to the topic ``frames``; empty when it may be."""
        if letter.source is None or letter.source_topic != frames:
            return f"it came from {letter.source_topic or 'nobody knows where'}, not from {frames}"
        if letter.source.partition >= self.partitions:
            return f"{frames} has no partition {letter.source.partition}: somebody else wrote this letter"
        past = self.replays.get(letter.place)
        return "" if past is None or again else in_words(past)


@dataclass(frozen=True, slots=True)
class ReplayedLetter:
    """A letter whose frame was written back; ``problem`` is empty when the broker has acknowledged it."""

    letter: Letter
    problem: str = ""


def find(
    broker: Broker, topics: Topics, group: str, choice: Choice, most: int | None = None
) -> ChosenLetters:
    """Return the newest ``most`` letters of a choice, and what became of their replays.

    Raises BrokerUnavailable and ContractBroken. It reads the dead letters, then, on the partitions of the
    letters returned, the scores since the oldest of them and the frames that ``group`` has not consumed yet.
    The committed offsets are read first: the outcome of a frame before them is on the topics already.
    """
    reader = broker.reader(CLIENT)
    try:
        committed = broker.committed_offsets(group)
        found, later = _find(broker, reader, topics.dead_letters.name, choice, most)
        found.partitions = len(broker.end_offsets([topics.frames.name]))
        found.replays = _refused_again(found.letters, later)
        open_ = _Open([letter for letter in found.letters if letter.place not in found.replays])
        if open_.letters:
            kept = first_kept_ms(broker, reader, topics.scores.name)
            found.replays |= open_.forgotten(kept)
            found.replays |= open_.waiting(_since(broker, reader, topics.frames.name, open_, committed))
            found.replays |= open_.scored(_since(broker, reader, topics.scores.name, open_))
    finally:
        reader.close()
    return found


def send_back(broker: Broker, topics: Topics, places: Collection[TopicPosition]) -> Iterator[ReplayedLetter]:
    """Write each refused frame back to the partition it came from, and yield it when its outcome is known.

    It stops at the first frame that the broker does not even take; the others are not tried.
    """
    reader = broker.reader(CLIENT)
    publisher = broker.publisher(CLIENT)
    try:
        batch = _Batch(publisher, topics.frames.name)
        for letter in read_whole(broker, reader, topics, places):
            yield from batch.add(letter)
            if batch.is_refused:
                break
        yield from batch.settle()
    finally:
        publisher.close()
        reader.close()


def read_whole(
    broker: Broker, reader: Reader, topics: Topics, places: Collection[TopicPosition]
) -> Iterator[Letter]:
    """Yield the letters at these places with their bytes, one at a time."""
    topic = topics.dead_letters.name
    begin = Choice(frozenset(places)).begin()
    for record in reader.read(topic, start=start_offsets_for(broker, topic, begin or {})):
        if place_of(record) in places:
            yield read_letter(record)


def in_words(past: Replay) -> str:
    """Return what became of a replay, in words."""
    if past.state == "unknown":
        return "nobody can tell whether it was replayed before: the scores of its time are deleted"
    words = {
        "waiting": "and waits at",
        "scored": "and was scored from",
        "refused": "and was refused again as",
    }
    return f"it was replayed before {words[past.state]} {past.place}"


@dataclass(frozen=True, slots=True)
class _Open:
    """The letters that no later letter names as replayed; topics tell what became of them."""

    letters: list[Letter]

    @property
    def partitions(self) -> set[int]:
        return {letter.source.partition for letter in self.letters if letter.source is not None}

    @property
    def oldest(self) -> datetime:
        return with_skew(min(letter.at for letter in self.letters))

    def waiting(self, frames: Iterable[Record]) -> dict[TopicPosition, Replay]:
        """Return place → "waiting" for the letters that a waiting frame names as its origin."""
        places = {letter.place: letter for letter in self.letters}
        found: dict[TopicPosition, Replay] = {}
        for record in frames:
            headers = texts(record)
            mark = TopicPosition.parse(headers.get(REPLAYED_FROM, ""))
            if mark in places and frame_of(headers) == places[mark].frame:
                found[mark] = Replay("waiting", place_of(record))
        return found

    def scored(self, scores: Iterable[Record]) -> dict[TopicPosition, Replay]:
        """Return place → "scored" for the letters whose frame was scored from a later place on its topic than
        the one it was refused at: it was replayed in between.
        """
        by_frame: dict[str, list[Letter]] = {}
        for letter in self.letters:
            if letter.frame is not None:
                by_frame.setdefault(str(letter.frame), []).append(letter)
        cameras = {letter.camera.encode() for letter in self.letters if letter.frame is not None}
        found: dict[TopicPosition, Replay] = {}
        for record in scores:
            score = _decoded(record) if record.key in cameras else None
            if score is None:
                continue
            for letter in by_frame.get(score.frame, ()):
                source = TopicPosition(score.source_partition, score.source_offset)
                if letter.source is not None and _is_behind(source, letter.source):
                    found[letter.place] = Replay("scored", source)
        return found

    def forgotten(self, kept: Mapping[int, int]) -> dict[TopicPosition, Replay]:
        """Return place → "unknown" for the letters whose replay would have left no trace.

        ``kept`` maps a partition to the time of its oldest score; a replay older than that left no trace.
        """
        return {
            letter.place: Replay("unknown")
            for letter in self.letters
            if letter.frame is not None
            and letter.source is not None
            and letter.record.timestamp_ms < kept.get(letter.source.partition, 0)
        }


@dataclass(slots=True)
class _Batch:
    """The letters that were handed to the publisher and have no outcome yet."""

    publisher: Publisher
    topic: str
    is_refused: bool = False
    _open: list[Letter] = field(default_factory=list)
    _outcomes: dict[TopicPosition, Exception | None] = field(default_factory=dict)

    def add(self, letter: Letter) -> Iterator[ReplayedLetter]:
        """Hand a letter over; when there is no room, first wait for the ones before it and yield them."""
        try:
            self._publish(letter)
        except Backpressure:
            yield from self.settle()
            self._publish(letter)

    def settle(self) -> Iterator[ReplayedLetter]:
        """Wait for the broker, and yield the letters that were handed over."""
        self.publisher.flush(SENT_WITHIN)
        for letter in self._open:
            light = letter.without_bytes()
            if letter.place not in self._outcomes:
                yield ReplayedLetter(
                    light, "the broker has not acknowledged it; it may be on the topic all the same"
                )
            else:
                error = self._outcomes[letter.place]
                yield ReplayedLetter(light, "" if error is None else str(error))
        self._open.clear()

    def _publish(self, letter: Letter) -> None:
        place = letter.place

        def done(error: Exception | None) -> None:
            self._outcomes[place] = error

        try:
            self.publisher.publish(replay(letter, self.topic), done)
        except PictureTooLarge as error:
            done(error)
        except (Transient, Fatal) as error:
            done(error)
            self.is_refused = True
        self._open.append(letter)


def _find(
    broker: Broker, reader: Reader, topic: str, choice: Choice, most: int | None
) -> tuple[ChosenLetters, dict[TopicPosition, Letter]]:
    """Return the chosen letters, and place → the later letter that says it was replayed from there."""
    found = ChosenLetters()
    later: dict[TopicPosition, Letter] = {}

    def chosen() -> Iterator[Letter]:
        begin = choice.begin()
        start = None if begin is None else start_offsets_for(broker, topic, begin)
        for record in reader.read(topic, choice.since, start):
            letter = read_letter(record).without_bytes()
            found.reasons[letter.reason] += 1
            if letter.replayed_from is not None:
                later[letter.replayed_from] = letter
            if choice.holds(letter):
                found.matching += 1
                yield letter

    def age(letter: Letter) -> tuple[int, TopicPosition]:
        return letter.record.timestamp_ms, letter.place

    letters = chosen()
    found.letters = sorted(letters if most is None else heapq.nlargest(most, letters, key=age), key=age)
    return found, later


def _refused_again(
    letters: Iterable[Letter], later: Mapping[TopicPosition, Letter]
) -> dict[TopicPosition, Replay]:
    found = {letter.place: (letter, later[letter.place]) for letter in letters if letter.place in later}
    return {
        place: Replay("refused", after.place)
        for place, (before, after) in found.items()
        if before.frame == after.frame
    }


def _since(
    broker: Broker,
    reader: Reader,
    topic: str,
    letters: _Open,
    committed: Mapping[Partition, int] | None = None,
) -> Iterator[Record]:
    """Yield the records of the letters' partitions since the oldest, or from the committed offsets on."""
    known = {place: offset for place, offset in (committed or {}).items() if place.topic == topic}
    return reader.read(
        topic, letters.oldest, known | start_offsets_for(broker, topic, dict.fromkeys(letters.partitions))
    )


def _is_behind(source: TopicPosition, before: TopicPosition) -> bool:
    return source.partition == before.partition and source.offset > before.offset


def _decoded(record: Record) -> Score | None:
    try:
        return Score.decode(record.value)
    except MalformedMessage:
        return None  # the audit reports such records
