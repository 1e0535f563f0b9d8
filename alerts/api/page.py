"""Lists in pages: a cursor names the last entry of a page, so what is added meanwhile moves nothing."""

import base64
import binascii
import json
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Generic, TypeVar

from fastapi import Query
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from alerts.api.problem import Refusal

T = TypeVar("T")

_FIRST, _LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
_ID = re.compile(r"[0-9a-f]{32}")


def _in_range(moment: datetime) -> datetime:
    if not _FIRST <= moment <= _LAST:
        raise ValueError("between 1970 and 2200 please")
    return moment


Moment = Annotated[AwareDatetime, AfterValidator(_in_range)]  # no database has those beyond
Id = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
PlainText = Annotated[
    str, Field(min_length=1, max_length=2_000, pattern=r"^[^\x00]*$")
]  # PostgreSQL takes no NUL
PlainName = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
PathName = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f/]*$")]
CursorText = Annotated[str | None, Query(max_length=400, description="What the page before gave as next.")]
PageSize = Annotated[int, Query(ge=1, le=200, description="Entries of the page, at most.")]


class ListPage(BaseModel, Generic[T]):
    """One page of a list."""

    items: list[T]
    next: str | None = Field(None, description="Cursor of the next page; null at the end.")


class ListQuery(BaseModel):
    """What every list takes."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(50, ge=1, le=200, description="Entries of the page, at most.")
    cursor: str | None = Field(None, max_length=400, description="What the page before gave as next.")


def page_of(
    items: Sequence[T], limit: int, place: Callable[[T], Sequence[str | int]]
) -> tuple[list[T], str | None]:
    """Return a page and its cursor, of entries of which one more than ``limit`` was asked for."""
    kept = list(items[:limit])
    return kept, _cursor(place(kept[-1])) if len(items) > limit else None


def time_and_id(cursor: str | None) -> tuple[datetime, str] | None:
    """Return the place that a cursor of a list by time names; raises Refusal."""
    if cursor is None:
        return None
    place = _place(cursor, 2)
    try:
        moment = datetime.fromisoformat(place[0])
        if moment.tzinfo is None:
            raise ValueError("no zone")
        return _in_range(moment), place[1]
    except ValueError as error:
        raise Refusal("invalid_cursor") from error


def only_id(cursor: str | None) -> str | None:
    """Return the id that a cursor names; raises Refusal."""
    if cursor is None:
        return None
    place = _place(cursor, 1)[0]
    if not _ID.fullmatch(place):
        raise Refusal("invalid_cursor")
    return place


def only_name(cursor: str | None) -> str | None:
    """Return the name that a cursor names; raises Refusal."""
    return None if cursor is None else _place(cursor, 1)[0]


def only_number(cursor: str | None) -> int | None:
    """Return the number that a cursor names; raises Refusal."""
    if cursor is None:
        return None
    place = _place(cursor, 1)[0]
    if not re.fullmatch(r"[0-9]{1,18}", place):
        raise Refusal("invalid_cursor")
    return int(place)


def _cursor(place: Sequence[str | int]) -> str:
    return base64.urlsafe_b64encode(json.dumps([str(part) for part in place]).encode()).decode().rstrip("=")


def _place(cursor: str, parts: int) -> list[str]:
    try:
        place = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars="-_", validate=True))
    except (binascii.Error, ValueError, RecursionError) as error:
        raise Refusal("invalid_cursor") from error
    is_whole = isinstance(place, list) and len(place) == parts
    if not (is_whole and all(isinstance(part, str) and "\0" not in part for part in place)):
        raise Refusal("invalid_cursor")
    if not all(part.isprintable() for part in place):  # a lone surrogate among others
        raise Refusal("invalid_cursor")
    return [str(part) for part in place]
