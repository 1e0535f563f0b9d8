"""The Kafka headers of every message: names from the code that writes them, meaning from here."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from steadyline.contracts.catalogue import MessageKind
from steadyline.contracts.dead_letter import DeadLetter
from steadyline.contracts.frame import MOST_PART, NAME, TYPE, Frame, FrameId
from steadyline.contracts.headers import SPEC_VERSION, Headers
from steadyline.contracts.model_command import ModelCommand
from steadyline.errors import PoisonMessage
from tools.docs.reasons import reason_words
from tools.docs.schema import Undescribed

_MOMENT = datetime(2026, 3, 1, 12, tzinfo=UTC)
_TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
_NAME = f"^{NAME.pattern}$"
_NUMBER = "^[1-9][0-9]{0,18}$"
_PLACE = "^[0-9]{1,19}$"
_PART = f"^.{{1,{MOST_PART}}}$"
_FRAME_ID = f"^{NAME.pattern}/[1-9][0-9]{{0,18}}/[1-9][0-9]{{0,18}}$"
_LINE_SOURCE = f"^/steadyline/{NAME.pattern}$"
_CAMERA_SOURCE = f"^/steadyline/{NAME.pattern}/{NAME.pattern}$"
_TRACEPARENT = "^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}"

# Pattern → what it means, for people.
FORMS = {
    _NAME: "a name",
    _NUMBER: "a whole number from 1",
    _PLACE: "a whole number",
    _PART: f"1 to {MOST_PART} characters that can be printed, no space at either end",
    _FRAME_ID: "`<camera>/<epoch>/<sequence>`",
    _LINE_SOURCE: "`/steadyline/<line>`",
    _CAMERA_SOURCE: "`/steadyline/<line>/<camera>`",
    _TRACEPARENT: "`00-<trace id>-<span id>-<flags>`",
}

_EVENT = {
    "ce_specversion": "Version of CloudEvents.",
    "ce_id": "Identity of the event; the same message written again has the same.",
    "ce_type": "Kind and version of the message.",
    "ce_source": "Where it comes from.",
    "ce_time": "When it happened, UTC.",
    "content-type": "What the value is.",
    "traceparent": "W3C Trace Context, where the message belongs to a trace.",
}
_JSON = {**_EVENT, "ce_subject": "What it is about: the Kafka key as text."}
_FRAME = {
    **_EVENT,
    "ce_id": "The frame's id.",
    "ce_subject": "The product.",
    "ce_time": "When it was captured, UTC.",
    "camera": "Camera of the line file; the Kafka key too.",
    "product": "Product that the camera looks at.",
    "sequence": "Number of the capture within its epoch, from 1, dropped ones included.",
    "epoch": "The producer's run: its start, in ns since 1970.",
    "part": "Part that it shows, its serial number for example, where the producer knows it.",
}
_OPTIONAL = frozenset({"part", "traceparent"})
_LETTER = {
    "reason": "One word: why it was refused.",
    "error": "The same as a sentence, 500 characters at most.",
    "source-topic": "The topic it was read from.",
    "source-partition": "Its partition there.",
    "source-offset": "Its offset there.",
}


@dataclass(frozen=True, slots=True)
class Header:
    """One header; ``schema`` is the JSON Schema of its text."""

    name: str
    description: str
    schema: dict[str, Any]
    required: bool


def headers_of(kind: MessageKind) -> list[Header]:
    """Return the headers that a kind of message is written with, in order; raises Undescribed."""
    written, described, schemas = _written(kind)
    names = [name for name, _ in written]
    unknown = set(names) ^ set(described)
    if unknown:
        raise Undescribed(
            f"headers of {kind.name}: {', '.join(sorted(unknown))} are written or described only"
        )
    return [
        Header(name, described[name], {"type": "string", **schemas.get(name, {})}, name not in _OPTIONAL)
        for name in names
    ]


def _written(kind: MessageKind) -> tuple[Headers, dict[str, str], dict[str, dict[str, Any]]]:
    if kind.name == "dead-letter":
        letter = DeadLetter(b"", (), "reason", "", "topic", 0, 0)
        return letter.encode_headers(), _LETTER, _letter_schemas()
    if kind.model is None:
        frame = Frame(FrameId("c", 1, 1), "line", "p", _MOMENT, "image/jpeg", b"", _TRACE, "A-7")
        return frame.headers(), _FRAME, _frame_schemas()
    command = ModelCommand(product="p", action="retrain", who="", at=_MOMENT)
    schemas = {
        **_event_schemas(kind.model.TYPE),
        "ce_source": {"pattern": _LINE_SOURCE},
        "content-type": {"const": "application/json"},
    }
    return command.headers("line", "p", _MOMENT, _TRACE), _JSON, schemas


def _event_schemas(kind: str) -> dict[str, dict[str, Any]]:
    return {
        "ce_specversion": {"const": SPEC_VERSION},
        "ce_type": {"const": kind},
        "ce_time": {"format": "date-time"},
        "traceparent": {"pattern": _TRACEPARENT},
    }


def _frame_schemas() -> dict[str, dict[str, Any]]:
    return {
        **_event_schemas(TYPE),
        "ce_id": {"pattern": _FRAME_ID},
        "ce_source": {"pattern": _CAMERA_SOURCE},
        "content-type": {"enum": ["image/jpeg", "image/png"]},
        "camera": {"pattern": _NAME},
        "product": {"pattern": _NAME},
        "sequence": {"pattern": _NUMBER},
        "epoch": {"pattern": _NUMBER},
        "part": {"pattern": _PART},
    }


def _letter_schemas() -> dict[str, dict[str, Any]]:
    return {
        "reason": {"enum": [word for word, _ in reason_words(PoisonMessage)]},
        "source-partition": {"pattern": _PLACE},
        "source-offset": {"pattern": _PLACE},
    }
