"""ETags: what was read is what is changed, and what has not changed is not sent again."""

from typing import Annotated

from fastapi import Header
from starlette.responses import Response

from alerts.api.problem import Refusal

IfMatch = Annotated[str | None, Header(description="The ETag that was read, or *.")]
IfNoneMatch = Annotated[str | None, Header(description="An ETag: unchanged is answered by 304.")]


def etag(version: int | str) -> str:
    """Return the ETag of a version."""
    return f'"{version}"'


def names(header: str | None, tag: str) -> bool:
    """Tell whether a list of ETags has this one."""
    words = [word.strip().removeprefix("W/") for word in (header or "").split(",")]
    return "*" in words or tag in words


def check_match(header: str | None, tag: str, *, is_needed: bool = True) -> None:
    """Raise Refusal unless the header has the tag."""
    if header is None:
        if is_needed:
            raise Refusal("precondition_required", "send the ETag that you read as If-Match")
        return
    if not names(header, tag):
        raise Refusal("changed_meanwhile")


def not_modified(tag: str) -> Response:
    """Return the answer to whom has it already."""
    return Response(status_code=304, headers={"ETag": tag})
