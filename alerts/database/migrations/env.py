"""What Alembic runs for each command: on the connection, and in the transaction, of whoever gave it."""

from typing import Literal

import sqlalchemy as sa
from alembic import context
from alembic.autogenerate.api import AutogenContext

from alerts.database.tables import Base, UtcDateTime


def _render(kind: str, found: object, _context: AutogenContext) -> str | Literal[False]:
    """A revision stands on no class of ours: what it made stays as it was when the class changes."""
    return "sa.DateTime(timezone=True)" if kind == "type" and isinstance(found, UtcDateTime) else False


def run_migrations() -> None:
    """Run what was asked for."""
    connection: sa.Connection = context.config.attributes["connection"]
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_item=_render,
        render_as_batch=connection.dialect.name == "sqlite",
        transactional_ddl=False,
    )
    context.run_migrations()


if hasattr(context, "config"):  # not where the module is only imported
    run_migrations()
