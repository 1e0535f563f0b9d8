"""Users: whoever has acted, or has a token."""

from typing import Annotated

from fastapi import APIRouter, Query

from alerts.api.auth import Admin
from alerts.api.dependencies import Api
from alerts.api.page import ListPage, ListQuery, only_name, page_of
from alerts.database.user_store import KnownUser

router = APIRouter(prefix="/users", tags=["tokens"])


@router.get("")
def list_users(query: Annotated[ListQuery, Query()], _: Admin, api: Api) -> ListPage[KnownUser]:
    """List all names that have acted or have a token, with the last act, and the role as far as known."""
    with api.database.read() as session:
        found = api.control.users.page(session, only_name(query.cursor), query.limit + 1, api.clock.now())
    kept, following = page_of(found, query.limit, lambda one: (one.name,))
    return ListPage(items=kept, next=following)
