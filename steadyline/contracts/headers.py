"""CloudEvents 1.0 in binary mode on Kafka: encode headers, and decode them with strict checks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from steadyline.contracts.wire import check_name
from steadyline.errors import ForeignLine, MalformedHeaders

Headers = tuple[tuple[str, bytes], ...]

SPEC_VERSION = "1.0"
SIGNATURE = "ce_signature"  # of a model event, by the trainer's key

# Every header that a contract reads; what other clients add beside them is nobody's business.
_READ = frozenset(
    {
        *("ce_specversion", "ce_id", "ce_type", "ce_source", "ce_subject", "ce_time"),
        *("content-type", "camera", "product", "sequence", "epoch", "part", "traceparent", SIGNATURE),
    }
)


def format_time(moment: datetime) -> str:
    """Return RFC 3339 in UTC with microseconds; ``moment`` must be timezone-aware."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_time(text: str) -> datetime:
    """Return the moment in UTC; raises MalformedHeaders when ``text`` is not an RFC 3339 time with a zone."""
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            raise MalformedHeaders(f"{text!r} has no time zone")
        return moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:  # an unset clock east of Greenwich is before the year 1
        raise MalformedHeaders(f"{text!r} is no RFC 3339 time") from error


def encode_headers(fields: Mapping[str, str | None]) -> Headers:
    """Return Kafka headers in the order of ``fields``, leaving out those that are None."""
    return tuple((name, value.encode()) for name, value in fields.items() if value is not None)


def decode_headers(headers: Sequence[tuple[str, bytes | None]]) -> dict[str, str]:
    """Return text by name of the headers that a contract reads.

    Raises MalformedHeaders when one of them is no UTF-8, or is there twice: one reader would take the first
    and another the last, and they would not agree whose message it is.
    """
    found: dict[str, str] = {}
    for name, value in headers:
        check_name(name)
        if name not in _READ:
            continue
        if name in found:
            raise MalformedHeaders(f"header {name!r} is there twice")
        try:
            found[name] = (value or b"").decode()
        except UnicodeDecodeError as error:
            raise MalformedHeaders(f"header {name!r} is no UTF-8") from error
    return found


def required(headers: Mapping[str, str], name: str) -> str:
    """Return a header that must be there and must not be empty; raises MalformedHeaders."""
    value = headers.get(name, "")
    if not value:
        raise MalformedHeaders(f"header {name!r} is missing")
    return value


def require_exactly(headers: Mapping[str, str], name: str, value: str) -> None:
    """Raise MalformedHeaders when a header is not ``value`` to the letter."""
    found = required(headers, name)
    if found != value:
        raise MalformedHeaders(f"header {name!r} is {found[:120]!r}, not {value!r}")


def require_key(key: bytes | None, value: str) -> None:
    """Raise MalformedHeaders when a record's key is not ``value`` to the letter."""
    if key != value.encode():
        raise MalformedHeaders(f"the key is {key[:80] if key else key!r}, not {value!r}")


def require_line(found: str, line: str) -> None:
    """Raise ForeignLine when a message of the line ``found`` has come to the topics of ``line``."""
    if found != line:
        raise ForeignLine(
            f"a message of the line {found[:80]!r} is on the topics of the line {line!r}: each line needs a "
            "topics.prefix of its own"
        )


def required_integer(headers: Mapping[str, str], name: str) -> int:
    """Return a header that must be a positive whole number of 64 bits; raises MalformedHeaders."""
    text = required(headers, name)
    if not (text.isascii() and text.isdigit() and len(text) <= 19 and 0 < int(text) < 1 << 63):
        raise MalformedHeaders(f"header {name!r} must be a positive whole number, not {text[:40]!r}")
    return int(text)


def event_headers(
    kind: str, source: str, identity: str, subject: str, moment: datetime
) -> dict[str, str | None]:
    """Return the CloudEvents headers of a JSON message; the caller adds ``traceparent`` where it has one."""
    return {
        "ce_specversion": SPEC_VERSION,
        "ce_id": identity,
        "ce_type": kind,
        "ce_source": source,
        "ce_subject": subject,
        "ce_time": format_time(moment),
        "content-type": "application/json",
    }


@dataclass(frozen=True, slots=True)
class Event:
    """What the CloudEvents headers of a JSON message say."""

    kind: str
    source: str
    id: str
    subject: str
    time: datetime
    traceparent: str | None = None
    signature: str | None = None


def decode_event(headers: Sequence[tuple[str, bytes | None]]) -> Event:
    """Return what the headers say; raises MalformedHeaders when they are not a CloudEvent of ours."""
    fields = decode_headers(headers)
    require_exactly(fields, "ce_specversion", SPEC_VERSION)
    require_exactly(fields, "content-type", "application/json")
    return Event(
        required(fields, "ce_type"),
        required(fields, "ce_source"),
        required(fields, "ce_id"),
        required(fields, "ce_subject"),
        parse_time(required(fields, "ce_time")),
        fields.get("traceparent"),
        fields.get(SIGNATURE),
    )


def check_event(
    headers: Sequence[tuple[str, bytes | None]], key: bytes | None, kind: str, line: str
) -> Event:
    """Return what the headers of a record of ``line`` say; for every reader of JSON messages.

    Raises ForeignLine, or MalformedHeaders when they are not a CloudEvent of ours, not of this ``kind``
    (``ce_type``), or about another subject than the record's key.
    """
    event = decode_event(headers)
    if event.kind != kind:
        raise MalformedHeaders(f"ce_type is {event.kind[:80]!r}, not {kind!r}")
    if not event.source.startswith("/steadyline/"):
        raise MalformedHeaders(f"ce_source {event.source[:120]!r} is not /steadyline/<line>")
    require_line(event.source.removeprefix("/steadyline/"), line)
    require_key(key, event.subject)
    return event
