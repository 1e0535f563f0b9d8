"""What all JSON messages share: immutable models, one encoding, strict reading."""

from datetime import datetime
from typing import ClassVar, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from steadyline.contracts.headers import Headers, encode_headers, event_headers
from steadyline.errors import MalformedMessage

M = TypeVar("M", bound="JsonMessage")


class Part(BaseModel):
    """A part of a message: frozen; unknown extra fields are ignored on read."""

    model_config = ConfigDict(frozen=True, extra="ignore", ser_json_inf_nan="strings")


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
            return cls.model_validate_json(value or b"")
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "value"
            raise MalformedMessage(f"{cls.__name__}: {where}: {first['msg']}") from error

    def identity(self, subject: str, moment: datetime) -> str:
        """Return the CloudEvents id, unique for the type; the same message written again gets the same id."""
        return f"{subject}@{moment.timestamp():.6f}"

    def headers(self, line: str, subject: str, moment: datetime, traceparent: str | None = None) -> Headers:
        """Return the CloudEvents headers; ``subject`` is the key, ``moment`` is when it happened."""
        identity = self.identity(subject, moment)
        fields = event_headers(self.TYPE, f"/steadyline/{line}", identity, subject, moment)
        return encode_headers({**fields, "traceparent": traceparent})


__all__ = ["AwareDatetime", "JsonMessage", "Part"]
