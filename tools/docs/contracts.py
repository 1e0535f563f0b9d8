"""``docs/contracts.md``: topics, messages, headers, reason words, golden examples."""

from collections.abc import Iterator

from pydantic import BaseModel

from producers.reasons import DROPPED, LOST, STATE
from steadyline.contracts.catalogue import KINDS, MessageKind
from steadyline.contracts.dead_letter import DeadLetter
from steadyline.contracts.frame import Frame
from steadyline.contracts.topics import DAY_MS, HOUR_MS, Topic
from steadyline.errors import Backpressure, Fatal, PoisonMessage, Transient
from steadyline.kafka.dead_letters.letter import REPLAYED_FROM
from steadyline.map_png import MAP_MAX, MAP_MIN, MAP_SPREAD, MAP_THRESHOLD
from tools.docs.configuration import sections
from tools.docs.fields import fields_of
from tools.docs.markdown import NOTICE, code, prose, table, words
from tools.docs.messages import examples_of, schema_name, topic_of
from tools.docs.reasons import reason_words
from tools.docs.wire_headers import FORMS, Header, headers_of
from tools.packages import is_built

_INTRO = """
Every message is a CloudEvent 1.0 in binary mode: the value is the payload, the rest is in Kafka headers.
Small messages are JSON; a frame is the encoded picture itself. The same in other forms: [JSON
Schemas](schemas) (draft 2020-12) and one [AsyncAPI 3.0 document](asyncapi.yaml).

* **Reading.** Fields that a reader does not know are ignored. A missing field or a wrong type makes a
  message poison. A number that is not finite is written as the string `NaN`, `Infinity` or `-Infinity`.
* **Change.** An added field is optional. Anything else is a `v2` beside the `v1`. Golden examples are kept
  for ever and must decode, and encode again to the same bytes.
* **Transactions.** Read `scores.v1` and `dead-letters.v1` with `isolation.level=read_committed`: they are
  written in Kafka transactions together with the offsets of the frames.
* **Frame id.** `<camera>/<epoch>/<sequence>`: `epoch` names one run of one producer (its start in ns),
  `sequence` counts captured frames from 1, dropped ones included.
* **Account**, per camera and epoch: captured = scored + dropped (by reason) + dead-lettered + in flight.
"""
_TOPICS = """
Names begin with the prefix of the line file (`steadyline` unless it says otherwise); partitions are the
line file's where there are several, and 8 there by default.
"""
_JSON_HEADERS = """## Headers of a JSON message
"""
_EVIDENCE = f"""
`picture_uri` and `map_uri` of a [score](#score) lead into the store, to
`evidence/<line>/<topic>/<topic id>/<partition>/<offset>/`. The picture is the frame as it came. The map is a
grey PNG of 8 bits with a pixel for each cell, on the scale of `calibrated`: 128 and more where a cell is
above the threshold, in every map of a model, so that nothing in a normal frame is brighter. The PNG's own
text says what a grey stands for, as decimal numbers under {code(MAP_THRESHOLD)} and {code(MAP_SPREAD)}:

    c = 2 × (pixel + 0.5) / 256 - 1
    value = threshold + spread × c / (1 - |c|)

The threshold is that of this map's cells; where a score is a mean of the worst of them it lies above the
score's. A map whose values have no threshold, of a model whose score is another detector's, and every map of
an earlier release has {code(MAP_MIN)} and {code(MAP_MAX)} in their place:

    value = min + pixel / 255 × (max - min)

The exact highest value is `peak.value` of the score. Why the scale is there:
[decision 14](decisions/0014-a-map-carries-its-scale.md), and why it is the model's:
[decision 28](decisions/0028-one-scale-for-scores-and-maps.md).
"""
_REASONS = """
One fixed word is metric label, header and log field. What a refused frame's dead letter says in `reason`:
"""


def page() -> str:
    """Return the page; raises Undescribed."""
    parts = [NOTICE, "# Contracts", _INTRO, "## Topics", _TOPICS, _topics()]
    parts += [_JSON_HEADERS, _headers(next(kind for kind in KINDS if kind.model is not None))]
    parts += [_message(kind) for kind in KINDS]
    parts += [
        "## Evidence",
        _EVIDENCE,
        "## Reasons",
        _REASONS,
        table(("reason", "meaning"), _words(PoisonMessage)),
    ]
    for title, base in (("held and tried again", Transient), ("the process exits", Fatal)):
        parts += [f"Of other errors ({title}):\n", table(("reason", "meaning"), _words(base))]
    parts += [f"And {code(Backpressure.reason)}: {prose(Backpressure.__doc__ or '')}\n"]
    for title, told in (
        ("Frames dropped before the broker (`dropped` of a camera's status)", DROPPED),
        ("States of a camera (`reason` of its status)", STATE),
        ("Why a camera is down (`reason` of its status)", LOST),
    ):
        parts += [f"{title}:\n", table(("reason", "meaning"), [(code(k), v) for k, v in told.items()])]
    return "\n".join(parts)


def order_of(topic: Topic) -> str:
    """Return what the key of a topic orders."""
    if topic.partitions == 1:
        return "of the whole topic (one partition)"
    if topic.key == "as the source":
        return "per partition n, which holds what was refused of the source's partition n"
    return f"per {topic.key}"


def kept(topic: Topic) -> str:
    """Return how long a topic keeps a message."""
    if topic.clean_up == "compact":
        return "compact: the newest of each key, for ever"
    if topic.retention_ms % DAY_MS == 0 and topic.retention_ms > DAY_MS:
        return f"delete after {topic.retention_ms // DAY_MS} days"
    return f"delete after {topic.retention_ms // HOUR_MS} h"


def service(name: str) -> str:
    """Return a service's name, with a note where its code is still to come."""
    return name if is_built(name) else f"{name} (not built yet)"


def _topics() -> str:
    head = ("topic", "key", "value", "writers", "readers", "clean-up", "largest message", "order")
    return table(head, (_topic(topic_of(kind), kind) for kind in KINDS))


def _topic(topic: Topic, kind: MessageKind) -> tuple[str, ...]:
    return (
        code(topic.name),
        topic.key,
        f"[{kind.name}](#{kind.name})",
        ", ".join(service(writer) for writer in topic.writers),
        ", ".join(service(reader) for reader in topic.readers),
        kept(topic),
        f"{topic.max_message_bytes / (1 << 20):g} MiB",
        order_of(topic),
    )


def _message(kind: MessageKind) -> str:
    topic = topic_of(kind)
    parts = [f"## {kind.name}\n", f"On {code(topic.name)}, key: {topic.key}. {_meaning(kind)}\n"]
    if kind.name == "dead-letter":
        parts.append("Value: the refused bytes. Headers: those of the refused message, and behind them:\n")
    if kind.name == "frame":
        parts.append(
            "Value: the encoded picture. A refused frame that `steadyline dlq replay` writes here again has "
            f"the header {code(REPLAYED_FROM)} as well: partition/offset of its dead letter.\n"
        )
    if kind.model is None:
        parts.append(_headers(kind))
    else:
        parts.append(
            f"`ce_type` {code(kind.model.TYPE)}, value by [schema](schemas/{schema_name(kind.name)}):\n"
        )
        for _, part in dict((model, (path, model)) for path, model in sections(kind.model)).values():
            heading = (
                f"### {part.__name__}\n{prose(part.__doc__ or '')}\n\n" if part is not kind.model else ""
            )
            parts.append(heading + _fields(part))
    found = [f"[{example.name}](../{example.value})" for example in examples_of(kind.name)]
    parts.append(f"Golden examples: {', '.join(found)} (headers beside them).\n")
    return "\n".join(parts)


def _meaning(kind: MessageKind) -> str:
    if kind.model is not None:
        return prose(kind.model.__doc__ or "")
    return prose((Frame if kind.name == "frame" else DeadLetter).__doc__ or "")


def _fields(part: type[BaseModel]) -> str:
    head = ("field", "type", "limits", "when it is missing", "description")
    rows = []
    for field in fields_of(part):
        missing = {"": "poison", "–": "null" if " or null" in field.type else "empty"}
        row = code(field.name), field.type, field.limits or "–", missing.get(field.default, field.default)
        rows.append((*row, field.description))
    return table(head, rows)


def _headers(kind: MessageKind) -> str:
    return table(("header", "always", "text", "meaning"), _header_rows(kind))


def _header_rows(kind: MessageKind) -> Iterator[tuple[str, ...]]:
    for header in headers_of(kind):
        always = "yes" if header.required else "no"
        yield code(header.name), always, _text(kind, header), header.description


def _text(kind: MessageKind, header: Header) -> str:
    """Return what a header's text looks like."""
    schema = header.schema
    match header.name:
        case "ce_type" if kind.model is not None:
            return "given with each message"
        case "reason":
            return "a [reason word](#reasons)"
        case "ce_time":
            return "RFC 3339, microseconds, `Z`"
    if "const" in schema:
        return code(schema["const"])
    if "enum" in schema:
        return words(schema["enum"])
    return FORMS[schema["pattern"]] if "pattern" in schema else "UTF-8"


def _words(base: type[PoisonMessage | Transient | Fatal]) -> Iterator[tuple[str, str]]:
    for word, meaning in reason_words(base):
        yield code(word), meaning
