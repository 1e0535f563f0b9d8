"""What a record weighs on the wire, how many headers it may have, and header names that are no UTF-8."""

from collections.abc import Iterable, Sequence

from steadyline.errors import MalformedHeaders

MAX_HEADERS = 64
MAX_HEADER_BYTES = 16 << 10
HEADER_OVERHEAD = 10  # two lengths
RECORD_OVERHEAD = 82  # a batch of its own, and the lengths of the record's parts


def name_bytes(name: str) -> bytes:
    """Return the bytes of a header's name as they were read, also of one that is no UTF-8."""
    return name.encode(errors="surrogateescape")


def name_of(read: bytes) -> str:
    """Return a header's name; bytes that are no UTF-8 are kept as lone surrogates, see ``name_bytes``."""
    return read.decode(errors="surrogateescape")


def headers_size(headers: Iterable[tuple[str, bytes | None]]) -> int:
    """Return the bytes of headers on the wire, near enough and never too few."""
    return sum(len(name_bytes(name)) + len(value or b"") + HEADER_OVERHEAD for name, value in headers)


def wire_size(key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes]]) -> int:
    """Return the bytes of a whole record on the wire, near enough and never too few."""
    return len(key or b"") + len(value or b"") + headers_size(headers) + RECORD_OVERHEAD


def first_headers(headers: Sequence[tuple[str, bytes]]) -> Sequence[tuple[str, bytes]]:
    """Return as many of the first headers as a record may have."""
    room = MAX_HEADER_BYTES
    for count, header in enumerate(headers[:MAX_HEADERS]):
        room -= headers_size([header])
        if room < 0:
            return headers[:count]
    return headers[:MAX_HEADERS]


def check_headers(headers: Sequence[tuple[str, bytes]]) -> None:
    """Raise MalformedHeaders for names that are no UTF-8 and for more headers than a record may have."""
    if len(headers) > MAX_HEADERS or headers_size(headers) > MAX_HEADER_BYTES:
        raise MalformedHeaders(
            f"{len(headers)} headers of {headers_size(headers)} bytes: a record may have {MAX_HEADERS} "
            f"of {MAX_HEADER_BYTES} bytes"
        )
    for name, _ in headers:
        check_name(name)


def check_name(name: str) -> None:
    """Raise MalformedHeaders when a header's name was no UTF-8."""
    if not name.isascii() and any("\ud800" <= character <= "\udfff" for character in name):
        raise MalformedHeaders(f"the header name {name!r} is no UTF-8")
