"""Every kind of message by its name: what documents, examples and checks are made from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from steadyline.contracts.alert import Alert
from steadyline.contracts.camera_status import CameraStatus
from steadyline.contracts.dead_letter import DeadLetter
from steadyline.contracts.feedback import Feedback
from steadyline.contracts.frame import Frame
from steadyline.contracts.headers import Headers, decode_event
from steadyline.contracts.message import JsonMessage
from steadyline.contracts.model_command import ModelCommand
from steadyline.contracts.model_event import ModelEvent
from steadyline.contracts.score import Score
from steadyline.errors import MalformedHeaders

AnyHeaders = Sequence[tuple[str, bytes | None]]
Wire = tuple[bytes | None, Headers]


@dataclass(frozen=True, slots=True)
class MessageKind:
    """One kind of message; ``name`` is what its topic in ``topics`` calls it, ``model`` None without JSON.

    ``reencode`` decodes a message as strictly as a reader does and returns what encoding it gives;
    it raises PoisonMessage when the message is none of this kind.
    """

    name: str
    model: type[JsonMessage] | None
    reencode: Callable[[bytes | None, AnyHeaders], Wire]


def _frame(value: bytes | None, headers: AnyHeaders) -> Wire:
    frame = Frame.decode(value, headers)
    return frame.picture, frame.headers()


def _dead_letter(value: bytes | None, headers: AnyHeaders) -> Wire:
    letter = DeadLetter.decode(value, headers)
    return letter.value, letter.encode_headers()


def _json(name: str, model: type[JsonMessage]) -> MessageKind:
    def reencode(value: bytes | None, headers: AnyHeaders) -> Wire:
        event, message = decode_event(headers), model.decode(value)
        if event.kind != model.TYPE:
            raise MalformedHeaders(f"ce_type is {event.kind[:80]!r}, not {model.TYPE!r}")
        line = event.source.rsplit("/", 1)[-1]
        return message.encode(), message.headers(line, event.subject, event.time, event.traceparent)

    return MessageKind(name, model, reencode)


KINDS: tuple[MessageKind, ...] = (
    MessageKind("frame", None, _frame),
    _json("score", Score),
    _json("camera-status", CameraStatus),
    _json("model-event", ModelEvent),
    _json("model-command", ModelCommand),
    _json("alert", Alert),
    _json("feedback", Feedback),
    MessageKind("dead-letter", None, _dead_letter),
)
