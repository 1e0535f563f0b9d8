"""The dead letter: a refused message, its bytes and headers untouched, with five headers added behind."""

from collections.abc import Sequence
from dataclasses import dataclass

from steadyline.contracts.headers import Headers, encode_headers
from steadyline.errors import MalformedHeaders

ADDED = ("reason", "error", "source-topic", "source-partition", "source-offset")
ERROR_CHARACTERS = 500


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One refused message. ``value`` and ``headers`` are as they were; the rest says why and where from.

    One that is larger than any letter, because its producer had compressed it, is cut to its beginning; a
    header ``cut-from`` then says how many bytes it had.
    """

    value: bytes | None
    headers: Headers
    reason: str
    error: str
    source_topic: str
    source_partition: int
    source_offset: int

    def encode_headers(self) -> Headers:
        """Return the refused message's headers and ours behind them."""
        added = (
            self.reason,
            self.error[:ERROR_CHARACTERS],
            self.source_topic,
            str(self.source_partition),
            str(self.source_offset),
        )
        return self.headers + encode_headers(dict(zip(ADDED, added, strict=True)))

    @staticmethod
    def decode(value: bytes | None, headers: Sequence[tuple[str, bytes | None]]) -> "DeadLetter":
        """Return the dead letter; raises MalformedHeaders when the last five headers are not ours.

        A message refused twice has ten: the outer five are read, and what was refused has the inner ones.
        """
        before, ours = headers[: -len(ADDED)], headers[-len(ADDED) :]
        if tuple(name for name, _ in ours) != ADDED:
            raise MalformedHeaders(f"a dead letter must end in the headers {', '.join(ADDED)}")
        reason, error, topic, partition, offset = (_text(name, found) for name, found in ours)
        place = _number(ADDED[3], partition), _number(ADDED[4], offset)
        kept = tuple((name, found or b"") for name, found in before)
        return DeadLetter(value, kept, reason, error, topic, *place)


def _text(name: str, value: bytes | None) -> str:
    try:
        return (value or b"").decode()
    except UnicodeDecodeError as error:
        raise MalformedHeaders(f"header {name!r} is no UTF-8") from error


def _number(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 19):
        raise MalformedHeaders(f"header {name!r} must be a whole number, not {text[:40]!r}")
    return int(text)
