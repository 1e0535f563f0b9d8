"""Deliveries: what became of each change on its way to each subscription."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, BaseModel, Field
from sqlalchemy.orm import Session
from starlette.responses import Response

from alerts.api.auth import Engineer
from alerts.api.dependencies import Api
from alerts.api.page import Id, ListPage, ListQuery, page_of, time_and_id
from alerts.api.ports import DeliveryQuery
from alerts.api.problem import Refusal
from alerts.api.repeat import Done, Sent, once
from alerts.database.audit_store import AuditAct
from alerts.database.tables import DeliveryRow

router = APIRouter(prefix="/deliveries", tags=["deliveries"])


class DeliveryView(BaseModel):
    """One change, or one digest, on its way to one subscription; the id is the same in all attempts."""

    id: str
    subscription: str
    incident: str | None = Field(description="Incident; null for a digest.")
    change: int | None = Field(description="Number of the change, as in /events; null for a digest.")
    digest: str | None = Field(description="Id of the digest; null for a single change.")
    chain: str | None = Field(description="Name of the escalation chain that sent it; null where none did.")
    step: int | None = Field(description="Its step, from 1; null where no chain sent it.")
    state: str = Field(description="pending, delivered or dead.")
    attempts: int
    created_at: AwareDatetime
    next_at: AwareDatetime = Field(description="When it is tried next, while it is pending.")
    deadline: AwareDatetime = Field(description="When it is given up.")
    delivered_at: AwareDatetime | None
    last_status: int | None = Field(description="Status of the last answer.")
    last_reason: str | None = Field(description="Why the last attempt failed: a fixed word.")
    last_error: str | None
    last_milliseconds: int | None = Field(description="How long the last attempt took.")
    answer_head: str | None = Field(description="How the last answer began.")


class DeliveryListQuery(ListQuery):
    """Which deliveries."""

    subscription: Id | None = None
    incident: Id | None = None
    state: Literal["pending", "delivered", "dead"] | None = None


@router.get("")
def list_deliveries(
    query: Annotated[DeliveryListQuery, Query()], _: Engineer, api: Api
) -> ListPage[DeliveryView]:
    """List deliveries, newest first."""
    chosen = DeliveryQuery(query.subscription, query.incident, query.state)
    with api.database.read() as session:
        rows = api.stores.deliveries.page(session, chosen, time_and_id(query.cursor), query.limit + 1)
        found = [_view(row) for row in rows]
    kept, following = page_of(found, query.limit, lambda one: (one.created_at.isoformat(), one.id))
    return ListPage(items=kept, next=following)


@router.get("/{delivery}")
def show_delivery(delivery: Id, _: Engineer, api: Api) -> DeliveryView:
    """Show one delivery: status, latency and the head of the answer."""
    with api.database.read() as session:
        row = api.stores.deliveries.find(session, delivery)
        if row is None:
            raise Refusal("no_such_delivery")
        return _view(row)


@router.post("/{delivery}/redeliver", status_code=202, response_model=DeliveryView)
def redeliver(delivery: Id, who: Engineer, api: Api, sent: Sent) -> Response:
    """Send one again under its own id, whatever became of it."""

    def act(session: Session) -> Done:
        now = api.clock.now()
        is_there = api.stores.deliveries.redeliver(session, delivery, now)
        row = api.stores.deliveries.find(session, delivery)
        if not is_there or row is None:
            raise Refusal("no_such_delivery")
        noted = AuditAct(who.name, "delivery.redeliver", f"delivery/{delivery}")
        api.stores.audit.write(session, noted, now)
        return Done(_view(row), 202)

    return once(api, sent.of(who), act)


def _view(row: DeliveryRow) -> DeliveryView:
    return DeliveryView.model_validate(row, from_attributes=True)
