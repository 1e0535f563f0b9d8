"""The picture and the map of an incident's worst frame, through the API: nobody needs to reach the store."""

import hashlib
import re
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header
from starlette.responses import Response

from alerts.api.auth import Viewer
from alerts.api.dependencies import Api, ApiDependencies
from alerts.api.page import Id
from alerts.api.precondition import IfNoneMatch, etag, names, not_modified
from alerts.api.problem import Refusal
from alerts.incidents.incident import Incident

router = APIRouter(prefix="/incidents/{incident}", tags=["evidence"])

_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")
_BYTES = {"schema": {"type": "string", "format": "binary"}}
_PICTURES: dict[str, Any] = {"content": {"image/jpeg": _BYTES, "image/png": _BYTES}}

Range = Annotated[str | None, Header(max_length=200, description="One range of bytes.")]
IfRange = Annotated[str | None, Header(max_length=200, description="The ETag that the range is of.")]


class _Asked:
    """What a browser says it has already, and what it wants of the rest."""

    def __init__(
        self, if_none_match: IfNoneMatch = None, range: Range = None, if_range: IfRange = None
    ) -> None:
        self.if_none_match, self.range, self.if_range = if_none_match, range, if_range


Asked = Annotated[_Asked, Depends()]


@router.get("/picture", response_class=Response, responses={200: _PICTURES, 206: _PICTURES})
def show_picture(incident: Id, _: Viewer, api: Api, asked: Asked) -> Response:
    """Show the worst frame as it came from the camera."""
    found = _find(api, incident)
    return _answer(api, found, found.anomaly.picture_uri if found.anomaly else None, asked)


@router.get("/map", response_class=Response, responses={200: _PICTURES, 206: _PICTURES})
def show_map(incident: Id, _: Viewer, api: Api, asked: Asked) -> Response:
    """Show its map, on the scale of the model: a good part does not glow."""
    found = _find(api, incident)
    return _answer(api, found, found.anomaly.map_uri if found.anomaly else None, asked)


def _find(api: ApiDependencies, incident: str) -> Incident:
    with api.database.read() as session:
        found = api.stores.incidents.find(session, incident)
    if found is None:
        raise Refusal("no_such_incident")
    return found


def _answer(api: ApiDependencies, incident: Incident, uri: str | None, asked: _Asked) -> Response:
    if uri is None:
        raise Refusal("no_evidence", "none was kept")
    key = api.evidence.key(uri)
    data = None if key is None else api.evidence.read(key)
    if key is None or data is None:
        raise Refusal("no_evidence")
    tag = etag(hashlib.sha256(data).hexdigest()[:32])
    # The worst frame of an incident that is not over may be another one tomorrow.
    keep = "private, max-age=86400" if incident.is_over else "private, no-cache"
    headers = {"ETag": tag, "Cache-Control": keep, "Accept-Ranges": "bytes"}
    if asked.if_none_match is not None and names(asked.if_none_match, tag):
        answer = not_modified(tag)
        answer.headers["Cache-Control"] = keep
        return answer
    media_type = "image/jpeg" if key.name.endswith(".jpg") else "image/png"
    wanted = _span(asked, tag, len(data))
    if wanted is None:
        return Response(data, 200, headers, media_type)
    first, last = wanted
    headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
    return Response(data[first : last + 1], 206, headers, media_type)


def _span(asked: _Asked, tag: str, size: int) -> tuple[int, int] | None:
    """Return the first and the last byte that are wanted; None for all. Raises Refusal."""
    match = _RANGE.fullmatch(asked.range or "")
    if match is None or match.group() == "bytes=-" or (asked.if_range is not None and asked.if_range != tag):
        return None  # several ranges, or another unit: the whole is a right answer
    begin, end = match[1], match[2]
    if begin and end and int(end) < int(begin):
        return None
    first = int(begin) if begin else max(0, size - int(end))
    last = min(int(end), size - 1) if begin and end else size - 1
    if first >= size or (not begin and int(end) == 0):
        raise Refusal("range_not_satisfiable", Content_Range=f"bytes */{size}")
    return first, last
