"""What people do about an incident: each act is one transaction of change, deliveries and audit."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Body, Depends
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.orm import Session
from starlette.responses import Response

from alerts.api.auth import Operator
from alerts.api.dependencies import Api
from alerts.api.page import Id, Moment, PlainName, PlainText
from alerts.api.precondition import IfMatch, check_match
from alerts.api.problem import Refusal
from alerts.api.repeat import Done, Sent, once
from alerts.api.routes.incidents import incident_etag
from alerts.api.view import IncidentView, incident_view
from alerts.database.audit_store import AuditAct
from alerts.database.changes import count_changes
from alerts.database.tables import ChangeRow
from alerts.incidents import acts
from alerts.incidents.incident import Incident, IncidentChange

router = APIRouter(prefix="/incidents/{incident}", tags=["incidents"])

Act = Callable[[Incident, str, datetime], IncidentChange]


class ActBody(BaseModel):
    """What may be said with any act."""

    model_config = ConfigDict(extra="forbid")

    comment: PlainText | None = Field(None, description="What is said with it.")


class SnoozeBody(ActBody):
    """A snooze always has an end."""

    until: Moment = Field(description="When it is told of again, unless it is over by then.")


class AssignBody(ActBody):
    """Who is to take it."""

    to: PlainName = Field(description="Name of the person or of the team.")


class CommentBody(BaseModel):
    """What is said of it."""

    model_config = ConfigDict(extra="forbid")

    text: PlainText = Field(description="The comment.")


class _Acting:
    """One request to act on one incident."""

    def __init__(self, incident: Id, who: Operator, api: Api, sent: Sent, if_match: IfMatch = None) -> None:
        self._incident, self._who = incident, who
        self._api, self._sent, self._if_match = api, sent, if_match

    def do(self, name: str, act: Act, detail: str = "") -> Response:
        """Do it once; returns the incident as it stands then. Raises ActRefused when it does not fit."""

        told: list[ChangeRow] = []

        def within(session: Session) -> Done:
            held = self._api.stores.incidents.find_to_change(session, self._incident)
            if held is None:
                raise Refusal("no_such_incident")
            scope, incident = held
            check_match(self._if_match, _tag(incident), is_needed=False)
            now = self._api.clock.now()
            change = act(incident, self._who.name, now)
            told.extend(self._api.stores.changes.write(session, scope, [change], now))
            noted = AuditAct(self._who.name, f"incident.{name}", f"incident/{self._incident}", detail)
            self._api.stores.audit.write(session, noted, now)
            escalations = self._api.stores.chains.next_steps(session, [self._incident])
            after = incident_view(change.incident, escalations.get(self._incident, ()))
            return Done(after, 200, etag=_tag(change.incident))

        answer = once(self._api, self._sent.of(self._who), within)
        count_changes(told)
        return answer


Acting = Annotated[_Acting, Depends()]


def _tag(incident: Incident) -> str:
    return incident_etag(incident.sequence, incident.frames_seen)


@router.post("/acknowledge", response_model=IncidentView)
def acknowledge_incident(acting: Acting, body: Annotated[ActBody | None, Body()] = None) -> Response:
    """Take an incident: it escalates no further until it lapses or clears."""
    comment = body.comment if body else None
    return acting.do("acknowledge", lambda one, who, at: acts.acknowledge(one, who, at, comment=comment))


@router.post("/resolve", response_model=IncidentView)
def resolve_incident(acting: Acting, body: Annotated[ActBody | None, Body()] = None) -> Response:
    """Close an incident."""
    comment = body.comment if body else None
    return acting.do("resolve", lambda one, who, at: acts.resolve(one, who, at, comment=comment))


@router.post("/snooze", response_model=IncidentView)
def snooze_incident(acting: Acting, body: SnoozeBody) -> Response:
    """Hear nothing of an incident until a time; a rise of severity is told all the same."""

    def act(one: Incident, who: str, at: datetime) -> IncidentChange:
        return acts.snooze(one, who, at, body.until, comment=body.comment)

    return acting.do("snooze", act, f"until {body.until.isoformat()}")


@router.post("/assign", response_model=IncidentView)
def assign_incident(acting: Acting, body: AssignBody) -> Response:
    """Give an incident to somebody."""

    def act(one: Incident, who: str, at: datetime) -> IncidentChange:
        return acts.assign(one, who, at, body.to, comment=body.comment)

    return acting.do("assign", act, f"to {body.to}")


@router.post("/comment", response_model=IncidentView)
def comment_on_incident(acting: Acting, body: CommentBody) -> Response:
    """Say something of an incident; one that is over takes comments too."""
    return acting.do("comment", lambda one, who, at: acts.comment(one, who, at, body.text))
