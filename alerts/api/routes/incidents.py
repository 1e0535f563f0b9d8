"""Incidents: the list, one of them, and its story."""

from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import Field

from alerts.api.auth import Viewer
from alerts.api.dependencies import Api
from alerts.api.page import Id, ListPage, ListQuery, Moment, PlainName, page_of, time_and_id
from alerts.api.precondition import IfNoneMatch, etag, names, not_modified
from alerts.api.problem import Refusal
from alerts.api.view import AlertView, IncidentView, alert_view, incident_view
from alerts.database.incident_store import IncidentCursor, IncidentFilter
from steadyline.contracts.alert import IncidentKind, IncidentState, Severity

router = APIRouter(prefix="/incidents", tags=["incidents"])

_MOST_VALUES = 32


class IncidentListQuery(ListQuery):
    """Which incidents; of several values of one field any fits."""

    state: list[IncidentState] = Field(default_factory=list, max_length=_MOST_VALUES)
    kind: list[IncidentKind] = Field(default_factory=list, max_length=_MOST_VALUES)
    severity: list[Severity] = Field(default_factory=list, max_length=_MOST_VALUES)
    camera: list[PlainName] = Field(default_factory=list, max_length=_MOST_VALUES)
    product: list[PlainName] = Field(default_factory=list, max_length=_MOST_VALUES)
    opened_from: Moment | None = Field(None, description="Opened then or later.")
    opened_until: Moment | None = Field(None, description="Opened before then.")

    def chosen(self) -> IncidentFilter:
        """Return what is asked of the database."""
        return IncidentFilter(
            tuple(self.state),
            tuple(self.kind),
            tuple(self.severity),
            tuple(self.camera),
            tuple(self.product),
            self.opened_from,
            self.opened_until,
        )


class Story(ListPage[AlertView]):
    """Every change of one incident, oldest first; ``why`` of each says which rule made it."""


@router.get("")
def list_incidents(
    query: Annotated[IncidentListQuery, Query()], _: Viewer, api: Api
) -> ListPage[IncidentView]:
    """List incidents, newest first."""
    with api.database.read() as session:
        behind = time_and_id(query.cursor)
        after = None if behind is None else IncidentCursor(*behind)
        found = api.stores.incidents.page(session, query.chosen(), after, query.limit + 1)
        escalations = api.stores.chains.next_steps(session, [one.id for one in found])
    kept, following = page_of(found, query.limit, lambda one: (one.opened_at.isoformat(), one.id))
    return ListPage(items=[incident_view(one, escalations.get(one.id, ())) for one in kept], next=following)


@router.get("/{incident}", response_model=IncidentView)
def show_incident(
    incident: Id, response: Response, _: Viewer, api: Api, if_none_match: IfNoneMatch = None
) -> IncidentView | Response:
    """Show one incident as it stands."""
    with api.database.read() as session:
        found = api.stores.incidents.find(session, incident)
        escalations = api.stores.chains.next_steps(session, [incident]).get(incident, [])
    if found is None:
        raise Refusal("no_such_incident")
    tag = incident_etag(found.sequence, found.frames_seen)
    # Its next step changes without the ETag, by which people say what they change.
    if if_none_match is not None and names(if_none_match, tag) and not escalations:
        return not_modified(tag)
    response.headers["ETag"] = tag
    return incident_view(found, escalations)


@router.get("/{incident}/story")
def tell_incident(incident: Id, _: Viewer, api: Api) -> Story:
    """Tell every change of an incident with its reason: why was this sent, and why not."""
    with api.database.read() as session:
        if api.stores.incidents.find(session, incident) is None:
            raise Refusal("no_such_incident")
        story = api.stores.incidents.story(session, incident)
        held = api.stores.tellings.held_by(session, incident)
    return Story(items=[alert_view(alert, held.get(alert.sequence)) for alert in story], next=None)


def incident_etag(sequence: int, frames: int) -> str:
    """Return the ETag: frames merge into an incident without counting its changes up."""
    return etag(f"{sequence}-{frames}")
