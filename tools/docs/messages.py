"""The messages, their topics and their golden examples, as documents need them."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from steadyline.contracts.catalogue import KINDS, MessageKind
from steadyline.contracts.message import JsonMessage
from steadyline.contracts.topics import Topic, Topics, line_topics
from steadyline.line import TopicSection
from tools.docs.schema import Undescribed
from tools.setup.command import ROOT

EXAMPLES = Path("steadyline/contracts/examples")
_HEADERS = ".headers.json"


@dataclass(frozen=True, slots=True)
class JsonKind:
    """A kind of message whose value is JSON."""

    name: str
    model: type[JsonMessage]


JSON_KINDS = tuple(JsonKind(kind.name, kind.model) for kind in KINDS if kind.model is not None)


@dataclass(frozen=True, slots=True)
class Example:
    """A golden message: where its value lies, and its headers as text where they are text."""

    name: str
    value: Path
    headers: dict[str, str]


def topic_of(kind: MessageKind) -> Topic:
    """Return a kind's topic, named as on a line that sets nothing."""
    return _topics().by_field()[field_of(kind)]


def field_of(kind: MessageKind) -> str:
    """Return the field of ``Topics`` that a kind travels on; raises Undescribed when there is none."""
    for field, topic in _topics().by_field().items():
        if topic.message == kind.name:
            return field
    raise Undescribed(f"no topic carries {kind.name} messages")


def schema_name(kind: str) -> str:
    """Return the file name of a message's schema."""
    return f"{kind}.v1.json"


def examples_of(kind: str) -> Iterator[Example]:
    """Yield a kind's golden messages, by name."""
    folder = ROOT / EXAMPLES / kind / "v1"
    for path in sorted(folder.glob(f"*{_HEADERS}")):
        name = path.name.removesuffix(_HEADERS)
        (value,) = [found for found in folder.glob(f"{name}.*") if found != path]
        rows = json.loads(path.read_text(encoding="utf-8"))
        headers = {key: text for key, text in rows if isinstance(text, str)}
        yield Example(name, value.relative_to(ROOT), headers)


def _topics() -> Topics:
    defaults = TopicSection()
    return line_topics(defaults.prefix, defaults.partitions)
