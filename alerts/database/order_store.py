"""Orders to the trainer that were given through the API, noted before they are sent."""

from datetime import datetime

from pydantic import AwareDatetime
from sqlalchemy import select, tuple_, update
from sqlalchemy.orm import Session

from alerts.database.tables import ModelOrderRow
from steadyline.contracts.message import Part
from steadyline.contracts.model_command import ModelCommand


class ModelOrder(Part):
    """An order, and which versions there were when it was given.

    ``place`` is an offset that is at most its own; None while no broker has acknowledged it.
    """

    id: str
    at: AwareDatetime
    command: ModelCommand
    versions_before: list[int]
    place: int | None = None


class OrderStore:
    """Reads and writes orders within the caller's transaction."""

    def add(self, session: Session, order: ModelOrder) -> None:
        """Note an order that is about to be sent."""
        row = ModelOrderRow(
            id=order.id,
            product=order.command.product,
            at=order.at,
            place=order.place,
            content=order.model_dump_json(),
        )
        session.add(row)

    def sent(self, session: Session, order_id: str, place: int) -> None:
        """Note where an order was written."""
        session.execute(update(ModelOrderRow).where(ModelOrderRow.id == order_id).values(place=place))

    def find(self, session: Session, product: str, order_id: str) -> ModelOrder | None:
        """Return an order of a product by its id."""
        row = session.get(ModelOrderRow, order_id)
        return None if row is None or row.product != product else _order(row)

    def page(
        self, session: Session, product: str, after: tuple[datetime, str] | None, limit: int
    ) -> list[ModelOrder]:
        """Return orders by descending (at, id), those behind ``after``."""
        query = select(ModelOrderRow).where(ModelOrderRow.product == product)
        if after is not None:
            query = query.where(tuple_(ModelOrderRow.at, ModelOrderRow.id) < after)
        query = query.order_by(ModelOrderRow.at.desc(), ModelOrderRow.id.desc()).limit(limit)
        return [_order(row) for row in session.scalars(query)]


def _order(row: ModelOrderRow) -> ModelOrder:
    return ModelOrder.read(row.content.encode()).model_copy(update={"place": row.place})
