"""What fields of the line file are made of: sections, names, durations, fractions."""

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, WithJsonSchema

from steadyline.contracts.frame import NAME
from steadyline.grid import Grid, parse_grid

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_LONGEST = 3650 * 86400


def parse_duration(value: Any) -> Any:
    """Turn ``30s``, ``15m``, ``24h`` or ``7d`` into a timedelta; a number means seconds."""
    if not isinstance(value, str):
        return value
    match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)([smhd])", value)
    if match is None or float(match[1]) * _UNITS[match[2]] > _LONGEST:
        raise ValueError("no duration: write 30s, 15m, 24h or 7d")
    return timedelta(seconds=float(match[1]) * _UNITS[match[2]])


def parse_fraction(value: Any) -> Any:
    """Turn ``2/255`` into a float; pydantic handles everything else."""
    match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?) ?/ ?(\d{1,9})", value) if isinstance(value, str) else None
    if match is None:
        return value
    if int(match[2]) == 0:
        raise ValueError("a fraction of zero parts")
    return float(match[1]) / int(match[2])


Duration = Annotated[timedelta, BeforeValidator(parse_duration), Field(ge=timedelta(0))]
Interval = Annotated[timedelta, BeforeValidator(parse_duration), Field(ge=timedelta(seconds=1))]
Epsilon = Annotated[float, BeforeValidator(parse_fraction), Field(gt=0, le=1)]
GridSides = Annotated[
    Grid,
    BeforeValidator(parse_grid),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^\d{2,4}x\d{2,4}$"}),
]
Name = Annotated[str, Field(pattern=f"^{NAME.pattern}$")]


class LineSection(BaseModel):
    """One section of the line file: frozen; what it does not know is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")
