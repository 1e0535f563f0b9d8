"""Escalation chains: who is told, one after another, until somebody takes an incident."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.orm import Session
from starlette.responses import Response

from alerts.api.auth import Engineer
from alerts.api.dependencies import Api
from alerts.api.page import Id, ListPage, ListQuery, PlainName, only_id, page_of
from alerts.api.precondition import IfMatch, check_match, etag
from alerts.api.problem import Refusal
from alerts.api.repeat import Done, Sent, once
from alerts.database.audit_store import AuditAct
from alerts.escalation.chain import EscalationChain, EscalationSteps
from alerts.escalation.store import ChainEdit
from alerts.subscriptions.subscription import SubscriptionFilter

router = APIRouter(prefix="/escalation-chains", tags=["escalation-chains"])


class ChainBody(BaseModel):
    """What a chain is to be."""

    model_config = ConfigDict(extra="forbid")

    name: PlainName = Field(description="Name for people.")
    enabled: bool = Field(True, description="Whether it does anything; switching it off ends what is on it.")
    filter: SubscriptionFilter = Field(
        default_factory=SubscriptionFilter,
        description="Which incidents, by the change with which they begin; by default all.",
    )
    steps: EscalationSteps = Field(description="Who is told, and after how long, in the order of time.")

    def edit(self) -> ChainEdit:
        """Return what the store takes."""
        return ChainEdit(self.name, self.enabled, self.filter, self.steps)


class _ChangingChain:
    """One request to change one chain that was read before."""

    def __init__(self, chain: Id, who: Engineer, api: Api, if_match: IfMatch = None) -> None:
        self._chain, self._who, self._api, self._if_match = chain, who, api, if_match

    def replace(self, body: ChainBody) -> Response:
        """Replace it; raises Refusal."""
        with self._api.database.transaction() as session:
            version = self._version(session)
            _check_steps(self._api, session, body)
            after = self._api.stores.chains.replace(session, self._chain, version, body.edit())
            if after is None:
                raise Refusal("changed_meanwhile")
            self._note(session, "chain.replace", after.name)
        return Response(after.model_dump_json(), 200, {"ETag": etag(after.version)}, "application/json")

    def delete(self) -> Response:
        """Delete it; raises Refusal."""
        with self._api.database.transaction() as session:
            version = self._version(session)
            if not self._api.stores.chains.delete(session, self._chain, version):
                raise Refusal("changed_meanwhile")
            self._note(session, "chain.delete", "")
        return Response(status_code=204)

    def _version(self, session: Session) -> int:
        before = self._api.stores.chains.find(session, self._chain)
        if before is None:
            raise Refusal("no_such_chain")
        check_match(self._if_match, etag(before.version))
        return before.version

    def _note(self, session: Session, act: str, detail: str) -> None:
        noted = AuditAct(self._who.name, act, f"chain/{self._chain}", detail)
        self._api.stores.audit.write(session, noted, self._api.clock.now())


ChangingChain = Annotated[_ChangingChain, Depends()]


@router.get("")
def list_chains(query: Annotated[ListQuery, Query()], _: Engineer, api: Api) -> ListPage[EscalationChain]:
    """List all escalation chains."""
    with api.database.read() as session:
        found = api.stores.chains.page(session, only_id(query.cursor), query.limit + 1)
    kept, following = page_of(found, query.limit, lambda one: (one.id,))
    return ListPage(items=kept, next=following)


@router.post("", status_code=201, response_model=EscalationChain)
def create_chain(body: ChainBody, who: Engineer, api: Api, sent: Sent) -> Response:
    """Make an escalation chain; it takes the incidents that begin from now on."""

    def act(session: Session) -> Done:
        _check_steps(api, session, body)
        now = api.clock.now()
        made = api.stores.chains.create(session, body.edit(), who.name, now)
        api.stores.audit.write(
            session, AuditAct(who.name, "chain.create", f"chain/{made.id}", made.name), now
        )
        return Done(made, etag=etag(made.version))

    return once(api, sent.of(who), act)


@router.get("/{chain}")
def show_chain(chain: Id, response: Response, _: Engineer, api: Api) -> EscalationChain:
    """Show one chain; its ETag is needed to change it."""
    with api.database.read() as session:
        found = api.stores.chains.find(session, chain)
    if found is None:
        raise Refusal("no_such_chain")
    response.headers["ETag"] = etag(found.version)
    return found


@router.put("/{chain}", response_model=EscalationChain)
def replace_chain(body: ChainBody, changing: ChangingChain) -> Response:
    """Replace a chain that is still as it was read; what is on its way goes on by the new one."""
    return changing.replace(body)


@router.delete("/{chain}", status_code=204)
def delete_chain(changing: ChangingChain) -> Response:
    """Delete a chain that is still as it was read; what is on its way escalates no further."""
    return changing.delete()


def _check_steps(api: Api, session: Session, body: ChainBody) -> None:
    unknown = api.stores.chains.unknown_subscription(session, body.steps)
    if unknown is not None:
        raise Refusal("unknown_subscription", f"there is no subscription {unknown}")
