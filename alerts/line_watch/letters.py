"""Counts the dead letters since the last measure, whoever has written them and however many there are."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta

from alerts.line_watch.metrics import FAILED
from alerts.line_watch.place import CountedLetters
from steadyline.clock import Clock
from steadyline.contracts.dead_letter import DeadLetter
from steadyline.errors import BrokerUnavailable, ContractBroken, MalformedHeaders
from steadyline.kafka.broker import Broker, Follower, Partition, Record
from steadyline.telemetry.logs import get_logger

log = get_logger(__name__)

MOST = 500  # letters that are read at one measure; of what is beyond them only the number is told
WITHIN = timedelta(seconds=5)  # the reading of one measure
FOREIGN, OTHERS, UNREAD = "foreign", "others", "unread"

_POLL = timedelta(milliseconds=200)
_WORD = re.compile(r"[a-z][a-z_]{0,39}")
_MOST_WORDS = 8


class LetterCounter:
    """Reads one topic behind positions that its caller keeps; used from one thread.

    It never raises for what is on the topic. What an open transaction holds back is counted once it is over.
    """

    def __init__(self, broker: Broker, topic: str, client: str, clock: Clock) -> None:
        self._broker, self._topic, self._client, self._clock = broker, topic, client, clock
        self._follower: Follower | None = None
        self._reached: CountedLetters | None = None  # where the follower stands

    def count(
        self, before: CountedLetters, ends: Mapping[Partition, int]
    ) -> tuple[dict[str, int], CountedLetters]:
        """Return the letters behind ``before`` by reason word, and how far they were counted.

        A topic that was never looked at is counted from its end on, and one that was made anew from its
        beginning. While the broker is away there are none, and the position stays.
        """
        try:
            return self._count(before, ends)
        except (BrokerUnavailable, ContractBroken) as error:
            FAILED.add(1, reason=error.reason)
            log.warning("dead_letters_not_counted", reason=error.reason, error=str(error))
            self.close()
            return {}, before

    def close(self) -> None:
        """Close the connection; never hangs."""
        if self._follower is not None:
            self._follower.close()
        self._follower, self._reached = None, None

    def _count(
        self, before: CountedLetters, ends: Mapping[Partition, int]
    ) -> tuple[dict[str, int], CountedLetters]:
        there = {place.number: end for place, end in ends.items() if place.topic == self._topic}
        topic_id = self._broker.topic_ids([self._topic]).get(self._topic, "")
        if not before.topic_id:
            return {}, CountedLetters(topic_id, there)
        if before.topic_id != topic_id:
            before = CountedLetters(topic_id)
        if all(before.next.get(number, 0) >= end for number, end in there.items()):
            return {}, before
        found, reached = self._read(before, there)
        behind = sum(max(0, end - reached.get(number, 0)) for number, end in there.items())
        if found.total() >= MOST and behind:
            found[UNREAD] += behind
            reached = {**reached, **{n: max(end, reached.get(n, 0)) for n, end in there.items()}}
            self.close()
        after = CountedLetters(topic_id, reached)
        self._reached = after if self._follower is not None else None
        return _of_few_words(found), after

    def _read(
        self, before: CountedLetters, there: Mapping[int, int]
    ) -> tuple[Counter[str], Mapping[int, int]]:
        follower = self._opened(before)
        found, reached = Counter[str](), dict(before.next)
        end = self._clock.monotonic() + WITHIN.total_seconds()
        while found.total() < MOST and self._clock.monotonic() < end:
            records = follower.poll(_POLL)
            found.update(_words(records))
            reached |= {place.number: offset for place, offset in follower.positions().items()}
            if all(reached.get(number, 0) >= offset for number, offset in there.items()):
                break
        return found, reached

    def _opened(self, before: CountedLetters) -> Follower:
        """Return a follower that stands at ``before``: the one of the last measure, if that was written."""
        if self._follower is None or self._reached != before:
            self.close()
            start = {Partition(self._topic, number): offset for number, offset in before.next.items()}
            self._follower = self._broker.follower(self._client, [self._topic], start)
        return self._follower


def _words(records: Sequence[Record]) -> list[str]:
    return [_word(record) for record in records]


def _word(record: Record) -> str:
    """Return the reason word of a letter; a stranger's message has none."""
    try:
        word = DeadLetter.decode(record.value, record.headers, record.key).reason
    except MalformedHeaders:
        return FOREIGN
    return word if _WORD.fullmatch(word) else FOREIGN


def _of_few_words(found: Counter[str]) -> dict[str, int]:
    """Return the counts of the most frequent words, the rest together: a stranger could write any."""
    few = dict(found.most_common(_MOST_WORDS))
    rest = found.total() - sum(few.values())
    return {**few, **({OTHERS: few.get(OTHERS, 0) + rest} if rest else {})}
