"""A stranger's records on every topic of a line: honest ones with one to three things wrong, by a seed."""

import json
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from steadyline.contracts.topics import Topic, Topics
from steadyline.kafka.broker import Message
from tests.support.hostile import NAMES, NESTED, NUMBERS, TEXTS, honest_messages, paths
from tests.support.raw_kafka import CODECS, Landed, RawProducer, StrangerRecord, batch

# What stands in a JSON text where a number, a string or an object is expected, however deep or long.
JSON_VALUES = (
    b"[" * 100_000, b'{"a":' * 5_000, b"1" * 4_300, b"1" * 100_000, b"-1e999", b"NaN", b"{}", b"null",
    b'"\\ud800"', b"[" + b"1," * 50_000 + b"1]", b'{"dropped_sequences":[' + b"0," * 100_000 + b"0]}",
    b"\xef\xbb\xbf{}", b"{" + b'"a":1,' * 1000,
)  # fmt: skip
NAMES_IN_BYTES = (
    b"",
    b"Ger\xe4t",
    b"\xff\xfe",
    b"\xed\xa0\x80",
    b"\x00",
    b"ce_id\x00",
    b"CE_ID",
    b"n" * 20_000,
)
HEADER_COUNTS = (1, 5, 63, 64, 65, 1_000, 10_000, 100_000)
SIZES = (0, 1, 1_000, 100_000, 500_000)
HUGE = (1 << 20, 2 << 20, 7 << 20)  # only on topics that take so much
BATCH_RECORDS, BATCH_BYTES = 40, 300_000

Change = Callable[[random.Random, StrangerRecord], StrangerRecord]


def _name(random_: random.Random, record: StrangerRecord) -> StrangerRecord:
    at = random_.randint(0, len(record.headers))
    new = (random_.choice(NAMES_IN_BYTES), random_.choice((b"", None, b"\xff", b"x" * 50)))
    return replace(record, headers=[*record.headers[:at], new, *record.headers[at:]])


def _count(random_: random.Random, record: StrangerRecord) -> StrangerRecord:
    if random_.random() < 0.2:
        return replace(record, headers=[])
    more = [(random_.choice((b"", b"a", b"ce_id")), b"")] * random_.choice(HEADER_COUNTS)
    return replace(record, headers=[*record.headers, *more])


def _duplicate(random_: random.Random, record: StrangerRecord) -> StrangerRecord:
    if not record.headers:
        return record
    name, value = random_.choice(list(record.headers))
    twin = (name, random_.choice((value, b"", b"other", None)))
    headers = list(record.headers)
    headers.insert(random_.randint(0, len(headers)), twin)
    return replace(record, headers=headers)


def _header(random_: random.Random, record: StrangerRecord) -> StrangerRecord:
    """Change what a header says, or add one that ours would read."""
    value = random_.choice(
        (*(text.encode() for text in TEXTS), b"\xff\xfe", None, b"0", b"9" * 19, b"x" * 9_000)
    )
    headers = list(record.headers)
    if headers and random_.random() < 0.7:
        at = random_.randrange(len(headers))
        headers[at] = (headers[at][0], value)
    else:
        headers.append((random_.choice(NAMES).encode(), value))
    return replace(record, headers=headers)


def _key(random_: random.Random, record: StrangerRecord) -> StrangerRecord:
    other = (None, b"", b"east-1", b"east-1 ", b"EAST-1", b"\xff", b"\x1b[2J", b"k" * 70_000)
    return replace(record, key=random_.choice(other))


def _value(random_: random.Random, record: StrangerRecord) -> StrangerRecord:
    value = record.value or b""
    cut = value[: random_.randint(0, len(value))]
    flipped = bytearray(value)
    for _ in range(random_.randint(1, 8) if value else 0):
        flipped[random_.randrange(len(value))] ^= 1 << random_.randrange(8)
    noise = random_.randbytes(random_.choice(SIZES))
    return replace(record, value=random_.choice((None, b"", cut, bytes(flipped), noise, value + value)))


def _json(random_: random.Random, record: StrangerRecord) -> StrangerRecord:
    """Replace a part of the JSON, or all of it; a picture stays one."""
    try:
        content = json.loads(record.value or b"")
    except (ValueError, RecursionError):  # no JSON, or deeper than Python reads
        return _value(random_, record)
    if not isinstance(content, dict) or not content or random_.random() < 0.25:
        return replace(record, value=random_.choice(JSON_VALUES))
    way = random_.choice(list(paths(content)))
    holder = content
    for name in way[:-1]:
        holder = holder[name]
    holder[way[-1]] = random_.choice((*NUMBERS, *TEXTS, *NESTED))
    return replace(record, value=json.dumps(content).encode())


def _time(random_: random.Random, record: StrangerRecord) -> StrangerRecord:
    far = (
        -1,
        -2,
        -(10**12),
        0,
        1,
        253_402_300_800_000,
        2**62,
        record.timestamp_ms + 7_200_000,
        record.timestamp_ms - 1,
    )
    return replace(record, timestamp_ms=random_.choice(far))


CHANGES: Mapping[str, Change] = {
    "header name": _name,
    "number of headers": _count,
    "header twice": _duplicate,
    "header": _header,
    "key": _key,
    "value": _value,
    "JSON": _json,
    "time": _time,
}


@dataclass
class WireFuzz:
    """Writes ``count`` hostile records to each topic in ``fields``; the same ones for the same seed.

    ``landed`` has the places, (topic, partition, offset), of those that the broker took; it refuses some.
    """

    topics: Topics
    fields: Sequence[str]
    seed: int
    extra: Sequence[Message] = ()
    sent: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    changes: Counter[str] = field(default_factory=Counter)
    landed: set[tuple[str, int, int]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        honest = [*honest_messages(self.topics), *self.extra]
        self._honest = [
            message for message in honest if message.topic in {topic.name for topic in self._written}
        ]

    @property
    def _written(self) -> list[Topic]:
        return [topic for name, topic in self.topics.by_field().items() if name in self.fields]

    def write(self, producer: RawProducer, count: int) -> None:
        """Write ``count`` records to each topic, some of them too large, compressed, or spoilt within."""
        for topic in self._written:
            for batch_ in self._batches(topic, count):
                self._send(producer, topic, batch_)
            for _ in range(max(1, count // 100)):
                self._send(producer, topic, [self._huge(topic)])
            for codec in CODECS:
                cut = self._random.randint(1, 40)
                spoilt = batch([self._record(topic)], codec, lambda data, cut=cut: data[:-cut])  # type: ignore[misc]
                self._note(topic, 0, 1, producer.send(topic.name, 0, spoilt))

    def _batches(self, topic: Topic, count: int) -> Iterator[list[StrangerRecord]]:
        found: list[StrangerRecord] = []
        size = 0
        for _ in range(count):
            record = self._record(topic)
            found.append(record)
            size += len(record.encoded(0, 0))
            if len(found) >= BATCH_RECORDS or size >= BATCH_BYTES:
                yield found
                found, size = [], 0
        if found:
            yield found

    def _send(self, producer: RawProducer, topic: Topic, records: list[StrangerRecord]) -> None:
        """Write records together; what the broker refuses together is written one by one."""
        partition = self._random.randrange(topic.partitions)
        codec = self._random.choice([*CODECS, *["none"] * 6])
        answer = producer.send(topic.name, partition, batch(records, codec))
        if answer.error and len(records) > 1:
            for record in records:
                self._send(producer, topic, [record])
        else:
            self._note(topic, partition, len(records), answer)

    def _note(self, topic: Topic, partition: int, count: int, answer: Landed) -> None:
        self.sent[topic.name] += count
        if answer.error:
            self.refused[topic.name] += count
        else:
            self.landed |= {(topic.name, partition, answer.offset + number) for number in range(count)}

    def _record(self, topic: Topic) -> StrangerRecord:
        chosen = self._random.choice([message for message in self._honest if message.topic == topic.name])
        if self._random.random() < 0.1:
            chosen = self._random.choice(self._honest)  # a message of another kind
        headers = [(name.encode(), value) for name, value in chosen.headers]
        record = StrangerRecord(chosen.key, chosen.value, headers, int(time.time() * 1000))
        for name in self._random.choices(list(CHANGES), k=self._random.choice((1, 1, 2, 3))):
            self.changes[name] += 1
            record = CHANGES[name](self._random, record)
        return record

    def _huge(self, topic: Topic) -> StrangerRecord:
        """Return a record near the limit of its topic, or above: by its key, its value or its headers."""
        record, size = self._record(topic), self._random.choice(HUGE)
        where = self._random.choice(("key", "value", "header", "name"))
        self.changes[f"huge {where}"] += 1
        if where == "key":
            return replace(record, key=b"k" * size)
        if where == "value":
            return replace(record, value=b"\0" * size)
        pair = (b"h" * size, b"") if where == "name" else (b"h", b"x" * size)
        return replace(record, headers=[*record.headers, pair])
