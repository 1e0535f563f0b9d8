"""CloudEvents 1.0 in binary mode on Kafka: encode headers, and decode them with strict checks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from steadyline.errors import MalformedHeaders

Headers = tuple[tuple[str, bytes], ...]

SPEC_VERSION = "1.0"


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
    """Return text by name, the last one of a repeated name; raises MalformedHeaders on invalid UTF-8."""
    found: dict[str, str] = {}
    for name, value in headers:
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


def decode_event(headers: Sequence[tuple[str, bytes | None]]) -> Event:
    """Return what the headers say; raises MalformedHeaders when they are not a CloudEvent of ours."""
    fields = decode_headers(headers)
    if required(fields, "ce_specversion") != SPEC_VERSION:
        raise MalformedHeaders(f"ce_specversion is {fields['ce_specversion'][:20]!r}, not {SPEC_VERSION!r}")
    if required(fields, "content-type") != "application/json":
        raise MalformedHeaders(f"content-type {fields['content-type'][:80]!r} is not application/json")
    return Event(
        required(fields, "ce_type"),
        required(fields, "ce_source"),
        required(fields, "ce_id"),
        required(fields, "ce_subject"),
        parse_time(required(fields, "ce_time")),
        fields.get("traceparent"),
    )
