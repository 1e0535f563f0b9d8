"""A duration as people write it, 15m or 7d, in JSON both ways."""

from datetime import timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, WithJsonSchema

from steadyline.line_fields import parse_duration

_UNITS = (("d", timedelta(days=1)), ("h", timedelta(hours=1)), ("m", timedelta(minutes=1)))


def say_duration(duration: timedelta) -> str:
    """Return whole seconds as the largest unit that divides them: 90m, and not 1.5h."""
    for letter, unit in _UNITS:
        if duration and not duration % unit:
            return f"{duration // unit}{letter}"
    return f"{duration // timedelta(seconds=1)}s"


def _parsed(value: Any) -> Any:
    if isinstance(value, bool | float):
        raise ValueError("no duration: write 30s, 15m, 24h or 7d")
    return parse_duration(value)


def _in_whole_seconds(duration: timedelta) -> timedelta:
    if duration.microseconds:
        raise ValueError("whole seconds please")
    return duration


SpokenDuration = Annotated[
    timedelta,
    BeforeValidator(_parsed),
    AfterValidator(_in_whole_seconds),
    PlainSerializer(say_duration),
    WithJsonSchema({"type": "string", "pattern": "^[0-9]{1,9}[smhd]$", "examples": ["15m", "1h", "7d"]}),
]
