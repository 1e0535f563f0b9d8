"""Dead letters for people: the newest first, a bounded part of the topic at a time, and one sent back."""

import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from steadyline.contracts.topics import Topics
from steadyline.kafka.broker import Broker, Partition, Record
from steadyline.kafka.dead_letters.letter import Letter, TopicPosition, read_letter
from steadyline.kafka.dead_letters.replay import Choice, ReplayedLetter, find, in_words, send_back
from steadyline.kafka.offsets import read_one

CLIENT = "alerts-letters"
HEAD_BYTES = 160
MOST_READERS = 4  # each may read a hundred megabytes
MOST_ROUNDS = 6  # of reading, for one page
MOST_WINDOW = 256  # offsets of a partition that one round reads
MOST_ROUND_BYTES = 128 << 20
LAST_MS = int(datetime(9999, 1, 1, tzinfo=UTC).timestamp() * 1000)  # nothing is newer

_CURSOR = re.compile(r"(\d{1,15})((?:\.\d{1,5}-\d{1,18})+)")


@dataclass(frozen=True, slots=True)
class LetterPlace:
    """Where the page before has ended: everything at or behind ``bounds`` was looked at.

    ``newest_ms`` is a moment that nothing before them is newer than.
    """

    newest_ms: int
    bounds: Mapping[int, int]

    def encode(self) -> str:
        """Return it as a cursor."""
        return f"{self.newest_ms}" + "".join(f".{number}-{at}" for number, at in sorted(self.bounds.items()))

    @staticmethod
    def parse(text: str) -> "LetterPlace | None":
        """Return the place that a cursor names; None when it names none."""
        match = _CURSOR.fullmatch(text) if text.isascii() else None
        if match is None:
            return None
        pairs = [part.split("-") for part in match[2].strip(".").split(".")]
        return LetterPlace(int(match[1]), {int(number): int(at) for number, at in pairs})


@dataclass(frozen=True, slots=True)
class LetterQuery:
    """Which letters; None is any."""

    reason: str | None = None
    source_topic: str | None = None
    camera: str | None = None
    since: datetime | None = None

    def holds(self, letter: Letter) -> bool:
        """Tell whether a letter is wanted."""
        return (
            self.reason in (None, letter.reason)
            and self.source_topic in (None, letter.source_topic)
            and self.camera in (None, letter.camera)
        )


@dataclass(frozen=True, slots=True)
class ShownLetter:
    """A letter without its bytes, and how they begin, as text that is safe to show."""

    letter: Letter
    head: str


@dataclass(slots=True)
class LetterPage:
    """Letters, newest first; ``next`` is None when there are no more."""

    letters: list[ShownLetter] = field(default_factory=list)
    next: LetterPlace | None = None


class DeadLetterDesk:
    """Reads the dead letters of one line, and writes refused frames back; safe from any thread.

    Every call raises BrokerUnavailable during an outage.
    """

    def __init__(self, broker: Broker, topics: Topics, scorers: str) -> None:
        """Stand on the consumer group of the scorers, which tells what became of a frame written back."""
        self._broker, self._topics, self._scorers = broker, topics, scorers
        self.places = threading.BoundedSemaphore(MOST_READERS)  # whoever calls a method holds one of them

    def page(self, query: LetterQuery, after: LetterPlace | None, limit: int) -> LetterPage:
        """Return the newest letters before ``after``, ``limit`` at most.

        Only a part of the topic is read: a page may be short, or empty, and others follow all the same.
        """
        walk = _WalkBack(self._broker, self._topics.dead_letters.name, after)
        page = LetterPage()
        window = min(MOST_WINDOW, 2 * limit)  # markers of transactions have offsets too
        for _ in range(MOST_ROUNDS):
            for shown in walk.round(window):
                if query.since is not None and shown.letter.at < query.since:
                    return page
                if query.holds(shown.letter):
                    page.letters.append(shown)
                if len(page.letters) == limit:
                    break
            if walk.is_over:
                return page
            if len(page.letters) == limit:
                break
            window = min(MOST_WINDOW, 2 * window)
        page.next = walk.place
        return page

    def find(self, place: TopicPosition) -> tuple[ShownLetter, str, str] | None:
        """Return a letter, what became of its replay, and why it may not be replayed, both in words.

        None when there is none at this place.
        """
        topic = Partition(self._topics.dead_letters.name, place.partition)
        ends = self._broker.end_offsets([topic.topic])
        if not self._broker.start_offsets([topic.topic]).get(topic, 0) <= place.offset < ends.get(topic, 0):
            return None
        with closing(self._broker.reader(CLIENT)) as reader:
            record = read_one(self._broker, reader, topic, place.offset)
        found = find(self._broker, self._topics, self._scorers, Choice(frozenset([place])))
        if record is None or not found.letters:
            return None
        past = found.replays.get(place)
        frames = self._topics.frames.name
        why = found.refusal(found.letters[0], frames, again=False)
        return _shown(record), "" if past is None else in_words(past), why

    def send_back(self, place: TopicPosition) -> ReplayedLetter | None:
        """Write the refused frame back to the partition it came from; None when the letter is gone."""
        return next(iter(list(send_back(self._broker, self._topics, {place}))), None)


class _WalkBack:
    """Goes back from the end of a topic, partition beside partition, by the time of writing."""

    def __init__(self, broker: Broker, topic: str, after: LetterPlace | None) -> None:
        self._broker, self._topic = broker, topic
        self._starts = {place.number: at for place, at in broker.start_offsets([topic]).items()}
        ends = {place.number: at for place, at in broker.end_offsets([topic]).items()}
        known = after.bounds if after is not None else {}
        self._bounds = {number: min(end, known.get(number, end)) for number, end in ends.items()}
        self._newest_ms = after.newest_ms if after is not None else None

    @property
    def is_over(self) -> bool:
        """True once everything that is kept was looked at."""
        return all(bound <= self._starts.get(number, 0) for number, bound in self._bounds.items())

    @property
    def place(self) -> LetterPlace:
        """How far it has come."""
        return LetterPlace(LAST_MS if self._newest_ms is None else self._newest_ms, dict(self._bounds))

    def round(self, window: int) -> Iterator[ShownLetter]:
        """Yield letters, newest first, as far as nothing outside of the windows can be newer."""
        read = self._read(window)
        while read is None:  # too many bytes at once
            window = max(1, window // 4)
            read = self._read(window)
        found, begins = read
        for number, items in found.items():
            if not items:  # nothing but markers in its window: what is before may be newer than all others
                self._bounds[number] = begins[number]
        while True:
            open_ = {number: items for number, items in found.items() if items}
            blocked = [n for n, items in found.items() if not items and begins[n] > self._starts.get(n, 0)]
            if not open_ or blocked:
                return
            number = max(open_, key=lambda n: (open_[n][-1].letter.record.timestamp_ms, -n))
            shown = open_[number].pop()
            # A record may have none (-1), or any: a cursor has what it can be read from again.
            self._newest_ms = min(max(0, shown.letter.record.timestamp_ms), LAST_MS)
            self._bounds[number] = shown.letter.place.offset if open_[number] else begins[number]
            yield shown

    def _read(self, window: int) -> tuple[dict[int, list[ShownLetter]], dict[int, int]] | None:
        """Return partition → letters of its window, oldest first, and where each window begins."""
        begins = {n: max(self._starts.get(n, 0), bound - window) for n, bound in self._bounds.items()}
        found: dict[int, list[ShownLetter]] = {number: [] for number in self._bounds}
        start = {Partition(self._topic, number): at for number, at in begins.items()}
        size = 0
        with closing(self._broker.reader(CLIENT)) as reader:
            for record in reader.read(self._topic, start=start, until=self._until()):
                number = record.partition.number
                size += record.size
                if size > MOST_ROUND_BYTES and window > 1:
                    return None
                if number in found and record.offset < self._bounds[number]:
                    found[number].append(_shown(record))
        return found, begins

    def _until(self) -> datetime | None:
        if self._newest_ms is None or self._newest_ms >= LAST_MS:
            return None
        return datetime.fromtimestamp(self._newest_ms / 1000, UTC) + timedelta(milliseconds=2)


def safe_text(data: bytes) -> str:
    """Return bytes as plain ASCII, all others and the backslash written as escapes."""
    return "".join(
        chr(byte) if 32 <= byte < 127 and byte != 92 else f"\\x{byte:02x}" for byte in data[:HEAD_BYTES]
    )


def plain(text: str) -> str:
    """Return a text that anybody may have written, without what is not shown as it is."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


def _shown(record: Record) -> ShownLetter:
    return ShownLetter(read_letter(record).without_bytes(), safe_text(record.value or b""))
