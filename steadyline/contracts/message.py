"""What all JSON messages share: immutable models, one encoding, strict reading."""

from datetime import datetime
from typing import Annotated, ClassVar, Self, TypeVar

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    FailFast,
    Field,
    ValidationError,
)
from pydantic_core import from_json

from steadyline.contracts.headers import Headers, encode_headers, event_headers
from steadyline.errors import MalformedMessage

M = TypeVar("M", bound="JsonMessage")
K = TypeVar("K")
T = TypeVar("T")

# What a reader copies, counts or loops over has a bound in its contract, so that no single message can make
# another one too large or a reader too slow.
MOST_INTEGER = (1 << 63) - 1
MOST_VERSION = (1 << 31) - 1
MOST_EXACT = (1 << 53) - 1  # of a number that Lua or JavaScript counts on
MOST_ENTRIES = 4096

Name = Annotated[str, Field(max_length=64)]  # of a camera, a product or a line
Word = Annotated[str, Field(max_length=64)]  # one fixed word, for example a reason
Count = Annotated[int, Field(ge=0, le=MOST_INTEGER)]
Uri = Annotated[str, Field(max_length=8_192)]  # of an object of the store
Digest = Annotated[str, Field(max_length=64)]  # SHA-256, hex
Version = Annotated[int, Field(ge=1, le=MOST_VERSION)]
Number = Annotated[int, Field(ge=1, le=MOST_INTEGER)]  # of an epoch or a sequence


def _of_few_entries(found: object) -> object:
    if isinstance(found, dict) and len(found) > MOST_ENTRIES:
        raise ValueError(f"more than {MOST_ENTRIES} entries")
    return found


# Every list and every table of what strangers may write is one of these. Otherwise a fault would be noted for
# each entry: a megabyte of wrong ones took gigabytes and half a minute to be refused.
Items = Annotated[list[T], FailFast()]
Table = Annotated[dict[K, T], BeforeValidator(_of_few_entries)]


def first_problem(error: ValueError) -> str:
    """Return where the first fault is that ``Part.read`` met and what it is, with no value that was read."""
    if not isinstance(error, ValidationError):
        return f"value: Invalid JSON: {error}"
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "value"
    return f"{where[:120]}: {first['msg']}"


class Part(BaseModel):
    """A part of a message: frozen; unknown extra fields are ignored on read."""

    model_config = ConfigDict(frozen=True, extra="ignore", ser_json_inf_nan="strings")

    @classmethod
    def read(cls, data: bytes) -> Self:
        """Return what JSON says; raises ValueError, a ValidationError where it is JSON that does not fit.

        It takes two steps: in one, each missing field would have a copy of all that was read instead.
        """
        return cls.model_validate(from_json(data))


class JsonMessage(Part):
    """A message whose value is JSON. Subclasses set TYPE."""

    TYPE: ClassVar[str]

    def encode(self) -> bytes:
        """Return the JSON value, compact, with fields in the order of the model."""
        return self.model_dump_json().encode()

    @classmethod
    def decode(cls: type[M], value: bytes | None) -> M:
        """Return the message; raises MalformedMessage (poison) when the bytes do not fit the contract."""
        try:
            return cls.read(value or b"")
        except ValueError as error:
            raise MalformedMessage(f"{cls.__name__}: {first_problem(error)}") from error

    def identity(self, subject: str, moment: datetime) -> str:
        """Return the CloudEvents id, unique for the type; the same message written again gets the same id."""
        return f"{subject}@{moment.timestamp():.6f}"

    def headers(self, line: str, subject: str, moment: datetime, traceparent: str | None = None) -> Headers:
        """Return the CloudEvents headers; ``subject`` is the key, ``moment`` is when it happened."""
        identity = self.identity(subject, moment)
        fields = event_headers(self.TYPE, f"/steadyline/{line}", identity, subject, moment)
        return encode_headers({**fields, "traceparent": traceparent})


__all__ = [
    "MOST_ENTRIES",
    "MOST_EXACT",
    "MOST_INTEGER",
    "MOST_VERSION",
    "AwareDatetime",
    "Count",
    "Digest",
    "Items",
    "JsonMessage",
    "Name",
    "Number",
    "Part",
    "Table",
    "Uri",
    "Version",
    "Word",
    "first_problem",
]
