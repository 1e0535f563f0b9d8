"""What a stranger writes to a line's topics: honest messages with fields, keys and headers of his own."""

import json
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

from steadyline.contracts.camera_status import CameraStatus
from steadyline.contracts.topics import Topics
from steadyline.kafka.broker import Message
from steadyline.kafka.memory.broker import MemoryBroker
from tests.support.line_day import EPOCH, START, LineDay
from tests.support.model_history import a_history

Way = tuple[str | int, ...]

CAMERA = "east-1"  # the one that the stranger names; the account of any other is not his
NUMBERS = (0, -1, 1, 2**31, 2**62 - 1, 2**62, 2**63 - 1, 2**63, 10**19, 10**30, 10**4298, 1e308, -1e308, 0.5)
TEXTS = (
    "", "\x1b[2J\x1b]0;gone\x07", "a\nb\r", "\u202eevil", "x" * 3000, "[red]x[/]", "\x00", "9" * 40, "../..",
    f"{CAMERA}/{EPOCH}/{2**63 - 1}", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59.999999-14:00",
)  # fmt: skip
NESTED: tuple[Any, ...] = (
    None,
    [],
    {},
    [[]] * 50,
    True,
    [[1, 10**30, "x"]],
    [[2, 1, "x"], [1, 9, "y"], [3, 5, "z"]],
)
BYTES = (b"", b"\xff\xfe", b"\x1b[31m", b"0/0", b"x" * 5000, b"9" * 30, f"{CAMERA}/{EPOCH}/1".encode(), b"1")
NAMES = (
    "ce_id",
    "camera",
    "reason",
    "error",
    "source-topic",
    "source-partition",
    "source-offset",
    "replayed-from",
)

values = st.sampled_from(NUMBERS) | st.sampled_from(TEXTS) | st.sampled_from(NESTED)
headers = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(BYTES)), max_size=6).map(tuple)


def honest_messages(topics: Topics) -> list[Message]:
    """Return one message of each kind that the line's services write of the camera."""
    broker = MemoryBroker()
    broker.create_topics(list(topics))
    day = LineDay(broker, topics, camera=CAMERA)
    day.capture(1, 2)
    day.refuse(0)
    letter = next(broker.reader("test").read(topics.dead_letters.name))
    status = CameraStatus(
        camera=CAMERA, product="cell", epoch=EPOCH, at=START, state="up", reason="capturing", sequence=9,
        captured=9, published=6, pending=1, dropped={"drop_oldest": 2},
        dropped_sequences=[(3, 3, "drop_oldest"), (5, 5, "drop_oldest")],
    )  # fmt: skip
    return [
        day.message(1),
        day.score_message(1, 0),
        Message(topics.dead_letters.name, letter.key, letter.value, letter.headers, 0),
        Message(topics.camera_status.name, f"{CAMERA}/{EPOCH}".encode(), status.encode()),
        Message(topics.model_events.name, b"cell", a_history(1, 2).encode()),
    ]


def paths(value: Any, path: Way = ()) -> Iterator[Way]:
    """Yield the way to each part of a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, part in inner:
        yield (*path, name)
        yield from paths(part, (*path, name))


@st.composite
def _changed(draw: st.DrawFn, text: bytes) -> bytes:
    """Draw the same JSON with up to three parts replaced."""
    content = json.loads(text)
    for path in draw(st.lists(st.sampled_from(list(paths(content))), max_size=3, unique=True)):
        holder = content
        try:
            for name in path[:-1]:
                holder = holder[name]
            holder[path[-1]] = draw(values)
        except (TypeError, KeyError, IndexError):
            continue  # a part of what was replaced before
    return json.dumps(content).encode()


@st.composite
def hostile_messages(draw: st.DrawFn, topics: Topics) -> Message:
    """Draw one message of a stranger to one of the line's topics."""
    honest = draw(st.sampled_from(honest_messages(topics)))
    other = draw(st.sampled_from(honest_messages(topics)))
    value = other.value if draw(st.integers(0, 9)) == 0 else honest.value
    is_json = value is not None and value.startswith(b"{")
    changed = draw(_changed(value)) if is_json and value is not None else draw(st.just(value) | st.none())
    key = draw(st.sampled_from([honest.key, honest.key, honest.key, None, *BYTES]))
    ours = draw(st.just(honest.headers) | headers | headers.map(lambda more: (*honest.headers, *more)))
    count = topics.frames.partitions if honest.partition is not None else 1
    if key is None and changed is None:
        changed = b""  # our client writes no such message
    return Message(honest.topic, key, changed, ours, draw(st.integers(0, count - 1)))
