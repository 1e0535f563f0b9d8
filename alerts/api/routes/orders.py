"""Orders to the trainer: noted, sent, and told about until they are answered."""

import uuid
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.orm import Session
from starlette.responses import Response

from alerts.api.auth import Engineer, Viewer
from alerts.api.dependencies import Api, ApiDependencies
from alerts.api.page import Id, ListPage, ListQuery, PathName, page_of, time_and_id
from alerts.api.problem import Refusal
from alerts.api.repeat import Done, Sent, find_repeat, once
from alerts.api.routes.models import check_product
from alerts.control.order_state import ENDS, OrderView, order_view
from alerts.database.audit_store import AuditAct
from alerts.database.order_store import ModelOrder
from steadyline.contracts.message import MOST_VERSION
from steadyline.contracts.model_command import MOST_WHO, MOST_WHY, Action, ModelCommand
from steadyline.errors import BrokerUnavailable

router = APIRouter(prefix="/models/{product}", tags=["models"])

Why = Annotated[str, Field(max_length=MOST_WHY, pattern=r"^[^\x00]*$")]
Wait = Annotated[float, Query(ge=0, le=60, description="Seconds to wait for the trainer's answer.")]

_ACTS: Mapping[Action, str] = {
    "promote": "promote",
    "rollback": "roll-back",
    "retrain": "retrain",
    "shadow": "shadow",
}


class OrderBody(BaseModel):
    """An order that needs no version."""

    model_config = ConfigDict(extra="forbid")

    why: Why = Field("", description="Reason, which the history keeps.")


class RollBackBody(OrderBody):
    """An order to go back."""

    version: int | None = Field(
        None, ge=1, le=MOST_VERSION, description="A version that was live; by default the one before."
    )


class PromoteBody(OrderBody):
    """An order to put a version in service."""

    version: int = Field(ge=1, le=MOST_VERSION, description="A candidate, or one that was live before.")


class _Ordering:
    """Somebody who orders something of the trainer of one product."""

    def __init__(self, product: PathName, who: Engineer, sent: Sent, wait: Wait = 0.0) -> None:
        self.product, self.who, self.sent, self.wait = product, who, sent, timedelta(seconds=wait)

    def order(self, api: ApiDependencies, action: Action, version: int | None, why: str) -> Response:
        """Note an order with its audit, then send it, then wait; raises Refusal.

        It is noted first, so that no order is on the topic of which nobody can tell who gave it; and the
        broker is asked outside of the transaction. One that was sent again is told about, not given again.
        """
        check_product(api, self.product)
        before = find_repeat(api, self.sent.of(self.who))
        if before is not None:
            return _again(api, before)
        order = self._made(api, action, version, why)

        def act(session: Session) -> Done:
            api.control.orders.add(session, order)
            detail = f"version {version}; {why}" if version else why
            noted = AuditAct(self.who.name, f"model.{_ACTS[action]}", f"model/{self.product}", detail)
            api.stores.audit.write(session, noted, order.at)
            return Done(order_view(order, None), 202)

        noted = once(api, self.sent.of(self.who), act)
        if "Idempotent-Replayed" in noted.headers:
            return _again(api, noted)
        return _answer(api.control.watch.await_answer(_sent(api, order), self.wait), {})

    def _made(self, api: ApiDependencies, action: Action, version: int | None, why: str) -> ModelOrder:
        who, now = self.who.name[:MOST_WHO], api.clock.now()
        command = ModelCommand(product=self.product, action=action, version=version, who=who, at=now, why=why)
        with api.database.transaction() as session:
            models = api.control.seen.models_of(session, self.product)
        versions = [model.version for model in models.models] if models is not None else []
        return ModelOrder(id=uuid.uuid4().hex, at=now, command=command, versions_before=versions)


Ordering = Annotated[_Ordering, Depends()]


@router.post("/retrain", response_model=OrderView, responses={202: {"model": OrderView}})
def retrain(ordering: Ordering, api: Api, body: OrderBody | None = None) -> Response:
    """Train a new version now; it goes live when it passes the gate. 202 until it is answered."""
    return ordering.order(api, "retrain", None, body.why if body is not None else "")


@router.post("/promote", response_model=OrderView, responses={202: {"model": OrderView}})
def promote(ordering: Ordering, api: Api, body: PromoteBody) -> Response:
    """Put a version in service. 202 until it is answered."""
    return ordering.order(api, "promote", body.version, body.why)


@router.post("/roll-back", response_model=OrderView, responses={202: {"model": OrderView}})
def roll_back(ordering: Ordering, api: Api, body: RollBackBody | None = None) -> Response:
    """Put a version back in service that was live before. 202 until it is answered."""
    said = body or RollBackBody(why="", version=None)
    return ordering.order(api, "rollback", said.version, said.why)


@router.get("/orders", response_model=ListPage[OrderView])
def list_orders(product: PathName, query: Annotated[ListQuery, Query()], _: Viewer, api: Api) -> Response:
    """List the orders that were given through this API, newest first."""
    check_product(api, product)
    with api.database.read() as session:
        found = api.control.orders.page(session, product, time_and_id(query.cursor), query.limit + 1)
        models = api.control.seen.models_of(session, product)
    kept, following = page_of(found, query.limit, lambda one: (one.at.isoformat(), one.id))
    page = ListPage[OrderView](items=[order_view(one, models) for one in kept], next=following)
    return Response(page.model_dump_json(), media_type="application/json")


@router.get("/orders/{order}", response_model=OrderView)
def show_order(product: PathName, order: Id, _: Viewer, api: Api) -> Response:
    """Show an order, and what has become of it."""
    check_product(api, product)
    with api.database.read() as session:
        found = api.control.orders.find(session, product, order)
        models = api.control.seen.models_of(session, product)
    if found is None:
        raise Refusal("no_such_order")
    return Response(order_view(found, models).model_dump_json(), media_type="application/json")


def _sent(api: ApiDependencies, order: ModelOrder) -> ModelOrder:
    try:
        place = api.control.sender.send(order.command)
    except BrokerUnavailable as error:
        at = f"/models/{order.command.product}/orders/{order.id}"
        detail = f"reason: {error.reason}; no broker has acknowledged the order, which may stand: {at}"
        raise Refusal("unavailable", detail, Retry_After="5") from error
    with api.database.transaction() as session:
        api.control.orders.sent(session, order.id, place)
    return order.model_copy(update={"place": place})


def _again(api: ApiDependencies, kept: Response) -> Response:
    """Return how an order stands now that was given before under the same key."""
    known = OrderView.model_validate_json(bytes(kept.body))
    with api.database.transaction() as session:
        found = api.control.orders.find(session, known.product, known.id)
        models = api.control.seen.models_of(session, known.product)
    view = known if found is None else order_view(found, models)
    return _answer(view, {"Idempotent-Replayed": "true"})


def _answer(view: OrderView, headers: dict[str, str]) -> Response:
    headers["Location"] = f"/api/v1/models/{view.product}/orders/{view.id}"
    return Response(view.model_dump_json(), 200 if view.state in ENDS else 202, headers, "application/json")
