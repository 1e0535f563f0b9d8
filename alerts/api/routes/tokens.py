"""API tokens: made, listed and revoked by admins; a secret is shown once."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.orm import Session
from starlette.responses import Response

from alerts.api.auth import Admin, Viewer
from alerts.api.dependencies import Api
from alerts.api.page import Id, ListPage, ListQuery, PlainName, only_id, page_of
from alerts.api.problem import Refusal
from alerts.api.repeat import Done, Sent, once
from alerts.database.audit_store import AuditAct
from alerts.database.token_store import ApiToken, Role, TokenOrder

router = APIRouter(prefix="/tokens", tags=["tokens"])


class TokenBody(BaseModel):
    """A token that is to be made."""

    model_config = ConfigDict(extra="forbid")

    name: PlainName = Field(description="Who has it: the name in every audit row and story.")
    role: Role = Field(description="What it may do; each role may what those before it may.")
    days: int = Field(90, ge=1, le=366, description="Days until it expires.")


class MadeToken(BaseModel):
    """A new token."""

    token: ApiToken
    secret: str | None = Field(description="The bearer token; null when the request was answered before.")


class WhoAmI(BaseModel):
    """Who asks."""

    name: str
    role: Role


@router.get("")
def list_tokens(query: Annotated[ListQuery, Query()], _: Admin, api: Api) -> ListPage[ApiToken]:
    """List all tokens, revoked and expired ones too."""
    with api.database.read() as session:
        found = api.stores.tokens.page(session, only_id(query.cursor), query.limit + 1)
    kept, following = page_of(found, query.limit, lambda one: (one.id,))
    return ListPage(items=kept, next=following)


@router.post("", status_code=201, response_model=MadeToken)
def create_token(body: TokenBody, who: Admin, api: Api, sent: Sent) -> Response:
    """Make a token; its secret is in this answer and nowhere else."""

    def act(session: Session) -> Done:
        now = api.clock.now()
        order = TokenOrder(body.name, body.role, now + timedelta(days=body.days))
        token, secret = api.stores.tokens.create(session, order, now)
        noted = AuditAct(who.name, "token.create", f"token/{token.id}", f"{body.role} for {body.name}")
        api.stores.audit.write(session, noted, now)
        return Done(MadeToken(token=token, secret=secret), secrets=frozenset({"secret"}))

    return once(api, sent.of(who), act)


@router.get("/self")
def show_self(who: Viewer) -> WhoAmI:
    """Show whose token this is."""
    return WhoAmI(name=who.name, role=who.role)


@router.delete("/{token}")
def revoke_token(token: Id, who: Admin, api: Api) -> ApiToken:
    """Revoke a token: the next request with it is refused, and its streams end."""
    with api.database.transaction() as session:
        now = api.clock.now()
        revoked = api.stores.tokens.revoke(session, token, now)
        if revoked is None:
            raise Refusal("no_such_token")
        noted = AuditAct(who.name, "token.revoke", f"token/{token}", revoked.name)
        api.stores.audit.write(session, noted, now)
    return revoked
