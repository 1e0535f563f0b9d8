"""Maintenance windows: when nobody is notified, and of what."""

from fnmatch import fnmatchcase
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.orm import Session
from starlette.responses import Response

from alerts.api.auth import Operator, Viewer
from alerts.api.dependencies import Api, ApiDependencies
from alerts.api.page import Id, ListPage, ListQuery, PlainName, only_id, page_of
from alerts.api.precondition import IfMatch, check_match, etag
from alerts.api.problem import Refusal
from alerts.api.repeat import Done, Sent, once
from alerts.database.audit_store import AuditAct
from alerts.windows.store import MOST_WINDOWS
from alerts.windows.window import MaintenanceWindow, WindowSchedule, WindowScope
from steadyline.contracts.message import AwareDatetime

router = APIRouter(prefix="/windows", tags=["windows"])


class WindowBody(BaseModel):
    """What a window is to be."""

    model_config = ConfigDict(extra="forbid")

    name: PlainName = Field(description="Name for people.")
    scope: WindowScope = Field(
        default_factory=WindowScope, description="What it holds; by default the line as a whole."
    )
    schedule: WindowSchedule = Field(description="When it is in force.")


class WindowView(MaintenanceWindow):
    """A window as it stands now."""

    in_force: bool = Field(description="Whether it is in force.")
    in_force_until: AwareDatetime | None = Field(description="When it is over; null while not in force.")
    next_begin: AwareDatetime | None = Field(description="When it is in force next; null: never.")


class _Editing:
    """One request to change one window."""

    def __init__(self, window: Id, who: Operator, api: Api, if_match: IfMatch = None) -> None:
        self._window, self._who, self._api, self._if_match = window, who, api, if_match

    def replace(self, body: WindowBody) -> Response:
        """Replace it; raises Refusal."""
        _check_scope(self._api, body.scope)
        with self._api.database.transaction() as session:
            before = self._settled(session)
            after = self._api.stores.windows.replace(session, before.id, before.version, body)
            if after is None:
                raise Refusal("changed_meanwhile")
            self._note(session, "window.replace", after.name)
        headers = {"ETag": etag(after.version)}
        return Response(_view(self._api, after).model_dump_json(), 200, headers, "application/json")

    def delete(self) -> Response:
        """Delete it; raises Refusal."""
        with self._api.database.transaction() as session:
            before = self._settled(session)
            if not self._api.stores.windows.delete(session, before.id, before.version):
                raise Refusal("changed_meanwhile")
            self._note(session, "window.delete", before.name)
        return Response(status_code=204)

    def end(self, session: Session) -> Done:
        """End the occurrence that is in force; raises Refusal."""
        before, now = self._found(session), self._api.clock.now()
        check_match(self._if_match, etag(before.version), is_needed=False)
        if before.occurrence_at(now) is None:
            raise Refusal("window_not_in_force")
        after = self._api.stores.windows.end(session, before.id, before.version, now)
        if after is None:
            raise Refusal("changed_meanwhile")
        self._note(session, "window.end", after.name)
        return Done(_view(self._api, after), 200, etag=etag(after.version))

    def _settled(self, session: Session) -> MaintenanceWindow:
        """Return it as it was read, once nothing is left of it to be told."""
        before, now = self._found(session), self._api.clock.now()
        check_match(self._if_match, etag(before.version))
        if before.occurrence_at(now) is not None:
            raise Refusal("window_not_settled", "it is in force: end it first")
        if not self._api.stores.windows.is_settled(session, before, now):
            raise Refusal("window_not_settled", "what it held is told within a minute: try again then")
        return before

    def _found(self, session: Session) -> MaintenanceWindow:
        found = self._api.stores.windows.find(session, self._window)
        if found is None:
            raise Refusal("no_such_window")
        return found

    def _note(self, session: Session, act: str, detail: str) -> None:
        noted = AuditAct(self._who.name, act, f"window/{self._window}", detail)
        self._api.stores.audit.write(session, noted, self._api.clock.now())


Editing = Annotated[_Editing, Depends()]


@router.get("")
def list_windows(query: Annotated[ListQuery, Query()], _: Viewer, api: Api) -> ListPage[WindowView]:
    """List all windows: which is in force, until when, and when each is next."""
    with api.database.read() as session:
        found = api.stores.windows.page(session, only_id(query.cursor), query.limit + 1)
    kept, following = page_of(found, query.limit, lambda one: (one.id,))
    return ListPage(items=[_view(api, one) for one in kept], next=following)


@router.post("", status_code=201, response_model=WindowView)
def create_window(body: WindowBody, who: Operator, api: Api, sent: Sent) -> Response:
    """Make a window."""

    def act(session: Session) -> Done:
        _check_scope(api, body.scope)
        if api.stores.windows.count(session) >= MOST_WINDOWS:
            raise Refusal("too_many_windows")
        now = api.clock.now()
        made = api.stores.windows.create(session, body, who.name, now)
        noted = AuditAct(who.name, "window.create", f"window/{made.id}", made.name)
        api.stores.audit.write(session, noted, now)
        return Done(_view(api, made), etag=etag(made.version))

    return once(api, sent.of(who), act)


@router.get("/{window}", response_model=WindowView)
def show_window(window: Id, response: Response, _: Viewer, api: Api) -> WindowView:
    """Show one window; its ETag is needed to change it."""
    with api.database.read() as session:
        found = api.stores.windows.find(session, window)
    if found is None:
        raise Refusal("no_such_window")
    response.headers["ETag"] = etag(found.version)
    return _view(api, found)


@router.put("/{window}", response_model=WindowView)
def replace_window(body: WindowBody, editing: Editing) -> Response:
    """Replace a window that is still as it was read and not in force."""
    return editing.replace(body)


@router.delete("/{window}", status_code=204)
def delete_window(editing: Editing) -> Response:
    """Delete a window that is still as it was read and not in force."""
    return editing.delete()


@router.post("/{window}/end", response_model=WindowView)
def end_window(editing: Editing, who: Operator, api: Api, sent: Sent) -> Response:
    """End the occurrence that is in force now: what still stands is told; later ones are left as they are."""
    return once(api, sent.of(who), editing.end)


def _view(api: ApiDependencies, window: MaintenanceWindow) -> WindowView:
    now = api.clock.now()
    current, following = window.occurrence_at(now), window.schedule.next_after(now)
    return WindowView(
        **window.model_dump(exclude={"scope", "schedule"}),
        scope=window.scope,
        schedule=window.schedule,
        in_force=current is not None,
        in_force_until=None if current is None else current.end,
        next_begin=None if following is None else following.begin,
    )


def _check_scope(api: ApiDependencies, scope: WindowScope) -> None:
    """Raise Refusal for what the line does not have: a mistyped name would hold nothing."""
    line = api.line
    for product in scope.products:
        if product not in line.products:
            raise Refusal("unknown_product")
    for pattern in scope.cameras:
        if line.cameras and not any(fnmatchcase(camera.id, pattern) for camera in line.cameras):
            raise Refusal("unknown_camera", "no camera of the line fits one of the patterns")
