"""The cameras of the line: state, newest score, what is the matter with each, and a small picture."""

import hashlib

from fastapi import APIRouter
from pydantic import AwareDatetime, BaseModel, Field
from starlette.responses import Response

from alerts.api.auth import Viewer
from alerts.api.dependencies import Api, ApiDependencies
from alerts.api.page import PathName
from alerts.api.precondition import IfNoneMatch, etag, names, not_modified
from alerts.api.problem import Refusal
from alerts.api.view import BASE
from alerts.database.incident_store import NOT_OVER, IncidentFilter
from alerts.database.last_seen import LastScore, NewestScore
from alerts.incidents.camera_rules import CameraMemory
from alerts.incidents.incident import Incident
from steadyline.contracts.alert import IncidentKind, Severity
from steadyline.contracts.camera_status import CameraState, CameraStatus

router = APIRouter(prefix="/cameras", tags=["line"])

_MOST_OPEN = 1_000
_JPEG = {"content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}}}


class StandingIncident(BaseModel):
    """An incident that is not over."""

    id: str
    kind: IncidentKind
    severity: Severity


class CameraView(BaseModel):
    """A camera of the line file; its source, which may hold a password, is not shown."""

    id: str
    product: str
    state: CameraState | None = Field(description="What it does; null before its first status.")
    since: AwareDatetime | None = Field(description="Since when it is in this state, without a silence.")
    is_silent: bool = Field(description="Whether no status has come for long: the state is an old one.")
    reason: str | None = Field(description="One word saying why it is in this state.")
    status_at: AwareDatetime | None = Field(description="When it said so last.")
    score: LastScore | None = Field(description="Its newest score.")
    incidents: list[StandingIncident] = Field(description="What is the matter with it now, newest first.")
    last_picture: str | None = Field(description="Path of a small picture of the last frame that was kept.")
    last_picture_at: AwareDatetime | None = Field(description="When that frame was captured.")


@router.get("")
def list_cameras(_: Viewer, api: Api) -> list[CameraView]:
    """List the cameras of the line; where the line file lists none, those that were seen."""
    chosen = IncidentFilter(states=NOT_OVER)
    products = {camera.id: camera.product for camera in api.line.cameras}
    with api.database.read() as session:
        standing = api.stores.incidents.page(session, chosen, None, _MOST_OPEN)
        seen = api.control.seen
        statuses, scores = seen.statuses(session, products), seen.scores(session, products)
        memories = seen.memories(session, products)
    if not products:
        products = {name: score.last.product for name, score in scores.items()}
        products |= {name: status.product for name, status in statuses.items()}
        products = dict(sorted(products.items()))
    return [
        _view(
            (name, product),
            (statuses.get(name), memories.get(name)),
            scores.get(name),
            [incident for incident in standing if incident.camera == name],
        )
        for name, product in products.items()
    ]


@router.get("/{camera}/thumbnail", response_class=Response, responses={200: _JPEG})
def show_thumbnail(camera: PathName, _: Viewer, api: Api, if_none_match: IfNoneMatch = None) -> Response:
    """Show a JPEG of the last frame that was kept of a camera, 160 pixels at most."""
    _check_camera(api, camera)
    with api.database.read() as session:
        seen = api.control.seen.score(session, camera)
    if seen is None or seen.picture is None:
        raise Refusal("no_evidence", "no picture of this camera was kept so far")
    tag = etag(hashlib.sha256(seen.picture.uri.encode()).hexdigest()[:32])
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if if_none_match is not None and names(if_none_match, tag):
        answer = not_modified(tag)
        answer.headers["Cache-Control"] = headers["Cache-Control"]
        return answer
    key = api.evidence.key(seen.picture.uri)
    small = None if key is None else api.control.thumbnails.make(key, seen.last.product)
    if small is None:
        raise Refusal("no_evidence", "the picture is not there any more, or cannot be made small")
    return Response(small, 200, headers, "image/jpeg")


def _check_camera(api: ApiDependencies, camera: str) -> None:
    if api.line.cameras and camera not in {one.id for one in api.line.cameras}:
        raise Refusal("no_such_camera")


def _view(
    camera: tuple[str, str],
    said: tuple[CameraStatus | None, CameraMemory | None],
    score: NewestScore | None,
    incidents: list[Incident],
) -> CameraView:
    (name, product), (status, memory) = camera, said
    picture = score.picture if score is not None else None
    return CameraView(
        id=name,
        product=product,
        state=status.state if status is not None else None,
        since=memory.since if memory is not None else None,
        is_silent=memory is not None and memory.is_silent,
        reason=status.reason if status is not None else None,
        status_at=status.at if status is not None else None,
        score=score.last if score is not None else None,
        incidents=[StandingIncident(id=one.id, kind=one.kind, severity=one.severity) for one in incidents],
        last_picture=f"{BASE}/cameras/{name}/thumbnail" if picture is not None else None,
        last_picture_at=picture.captured_at if picture is not None else None,
    )
