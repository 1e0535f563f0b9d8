"""What has become of an order to the trainer: pure."""

from typing import Literal

from pydantic import AwareDatetime, BaseModel, Field

from alerts.database.order_store import ModelOrder
from alerts.database.seen_models import SeenModels
from steadyline.contracts.model_command import Action
from steadyline.contracts.model_event import Change
from steadyline.kafka.model_orders import SentCommand, answer_to

OrderState = Literal["unconfirmed", "waiting", "taken", "done", "refused", "forgotten"]
ENDS: tuple[OrderState, ...] = ("done", "refused", "forgotten")

_MOST_KEPT = 200  # changes of an event


class OrderView(BaseModel):
    """An order, and what has become of it."""

    id: str
    product: str
    action: Action = Field(description="What was ordered.")
    version: int | None = Field(description="The version to promote or to roll back to, where one was said.")
    who: str = Field(description="Who ordered it.")
    why: str = Field(description="The reason that was given.")
    at: AwareDatetime = Field(description="When it was ordered.")
    state: OrderState = Field(
        description="unconfirmed: no broker has acknowledged it, it may be on its topic all the same; "
        "waiting: no trainer has read it; taken: it is being done; done; refused; forgotten: so many changes "
        "are later that its own is not kept any more."
    )
    answer: Change | None = Field(None, description="The change that answers it.")


def order_view(order: ModelOrder, models: SeenModels | None) -> OrderView:
    """Return an order as things stand."""
    state, answer = _state(order, models)
    command = order.command
    return OrderView(
        id=order.id,
        product=command.product,
        action=command.action,
        version=command.version,
        who=command.who,
        why=command.why,
        at=order.at,
        state=state,
        answer=answer,
    )


def _state(order: ModelOrder, models: SeenModels | None) -> tuple[OrderState, Change | None]:
    if order.place is None:
        return "unconfirmed", None
    if models is None or models.commands_until <= order.place:
        return "waiting", None
    answer = answer_to(SentCommand(order.command, order.place, frozenset(order.versions_before)), models)
    if answer is not None:
        is_done = answer.after == "live" and not answer.reason.startswith("refused")
        return ("done" if is_done else "refused"), answer
    is_cut = len(models.changes) >= _MOST_KEPT and models.changes[0].at > order.at
    return ("forgotten" if is_cut else "taken"), None
