"""The audit: who did what, when, to what."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field

from alerts.api.auth import Engineer
from alerts.api.dependencies import Api
from alerts.api.page import ListPage, ListQuery, Moment, PlainName, only_number, page_of
from alerts.database.audit_store import AuditEntry, AuditFilter

router = APIRouter(prefix="/audit", tags=["audit"])


class AuditListQuery(ListQuery):
    """Which acts."""

    who: PlainName | None = None
    act: PlainName | None = Field(None, description="incident.acknowledge for example.")
    target: PlainName | None = Field(None, description="incident/<id> for example.")
    since: Moment | None = None
    until: Moment | None = None


@router.get("")
def list_acts(query: Annotated[AuditListQuery, Query()], _: Engineer, api: Api) -> ListPage[AuditEntry]:
    """List what was done, newest first."""
    chosen = AuditFilter(query.who, query.act, query.target, query.since, query.until)
    with api.database.read() as session:
        found = api.stores.audit.page(session, chosen, only_number(query.cursor), query.limit + 1)
    kept, following = page_of(found, query.limit, lambda one: (one.id,))
    return ListPage(items=kept, next=following)
