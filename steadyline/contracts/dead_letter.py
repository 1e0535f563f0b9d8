"""The dead letter: a refused message, its bytes and headers untouched, with five headers added behind."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from steadyline.contracts.headers import Headers, encode_headers
from steadyline.contracts.topics import MAX_DEAD_LETTER_BYTES, MAX_FRAME_BYTES
from steadyline.contracts.wire import MAX_HEADER_BYTES, MAX_HEADERS, first_headers, headers_size, wire_size
from steadyline.errors import MalformedHeaders

ADDED = ("reason", "error", "source-topic", "source-partition", "source-offset")
ERROR_CHARACTERS = 500
CUT_FROM = "cut-from"
CUT_KEY_BYTES = 1 << 10
ABRIDGED_VALUE_BYTES = 1 << 14
CUT_VALUE_BYTES = MAX_FRAME_BYTES - CUT_KEY_BYTES - MAX_HEADER_BYTES

V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One refused message. ``value`` and ``headers`` are as they were; the rest says why and where from.

    One that is larger than any letter, because its producer had compressed it, is cut to its beginning, and
    one with more headers than a record may have to the first of them; a header ``cut-from`` then says how
    many bytes it had. ``cut_from`` is that number for a record that was cut when it was read.
    """

    value: bytes | None
    headers: Headers
    reason: str
    error: str
    source_topic: str
    source_partition: int
    source_offset: int
    key: bytes | None = None
    cut_from: int | None = None

    def fitted(self) -> "DeadLetter":
        """Return the letter as its topic takes it, which nearly always is the letter itself.

        One that no topic holds is cut to its first bytes, a short key and the first headers; of too many
        headers the first are kept. One without key and value gets an empty value, for our client writes no
        such message: it would be a poison pill.
        """
        kept = self
        if wire_size(self.key, self.value, self.headers) > MAX_DEAD_LETTER_BYTES - MAX_HEADER_BYTES:
            kept = self._shortened(CUT_VALUE_BYTES)
        elif self.cut_from is not None or not _are_few(self.headers):
            kept = self._with_few_headers()
        return replace(kept, value=b"") if kept.value is None and kept.key is None else kept

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
    def decode(
        value: bytes | None, headers: Sequence[tuple[str, bytes | None]], key: bytes | None = None
    ) -> "DeadLetter":
        """Return the dead letter; raises MalformedHeaders when the last five headers are not ours.

        A message refused twice has ten: the outer five are read, and what was refused has the inner ones.
        """
        before, ours = split_headers(headers)
        if not ours:
            raise MalformedHeaders(f"a dead letter must end in the headers {', '.join(ADDED)}")
        reason, error, topic, partition, offset = (_text(name, found) for name, found in ours)
        place = _number(ADDED[3], partition), _number(ADDED[4], offset)
        kept = tuple((name, found or b"") for name, found in before)
        return DeadLetter(value, kept, reason, error, topic, *place, key)

    def abridged(self) -> "DeadLetter":
        """Return a letter that any topic takes: a short beginning of value, key and headers."""
        short = self._shortened(ABRIDGED_VALUE_BYTES)
        return replace(short, value=b"") if short.value is None and short.key is None else short

    def _shortened(self, value_bytes: int) -> "DeadLetter":
        """Return the letter with no more than the beginning of its value, of its key and of its headers."""
        value = None if self.value is None else self.value[:value_bytes]
        key = None if self.key is None else self.key[:CUT_KEY_BYTES]
        return replace(self._with_few_headers(), value=value, key=key)

    def _with_few_headers(self) -> "DeadLetter":
        size = wire_size(self.key, self.value, self.headers) if self.cut_from is None else self.cut_from
        mark = (CUT_FROM, str(size).encode())
        return replace(self, headers=(*first_headers(self.headers), mark), cut_from=None)


def split_headers(
    headers: Sequence[tuple[str, V]],
) -> tuple[Sequence[tuple[str, V]], Sequence[tuple[str, V]]]:
    """Return the refused message's headers and the five of the letter, or none of the five."""
    before, ours = headers[: -len(ADDED)], headers[-len(ADDED) :]
    return (before, ours) if tuple(name for name, _ in ours) == ADDED else (headers, ())


def _are_few(headers: Headers) -> bool:
    return len(headers) <= MAX_HEADERS and headers_size(headers) <= MAX_HEADER_BYTES


def _text(name: str, value: bytes | None) -> str:
    try:
        return (value or b"").decode()
    except UnicodeDecodeError as error:
        raise MalformedHeaders(f"header {name!r} is no UTF-8") from error


def _number(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 19):
        raise MalformedHeaders(f"header {name!r} must be a whole number, not {text[:40]!r}")
    return int(text)
