"""The accounts of the cameras: what was captured, published, dropped and scored."""

from fastapi import APIRouter

from alerts.api.auth import Viewer
from alerts.api.dependencies import Api
from alerts.control.accounting import LineAccount, camera_account, line_account

router = APIRouter(prefix="/accounting", tags=["line"])


@router.get("")
def show_accounting(_: Viewer, api: Api) -> LineAccount:
    """Show the account of each camera's present run, from newest statuses and scores; cheap to ask for."""
    seen, listed = api.control.seen, [camera.id for camera in api.line.cameras]
    with api.database.read() as session:
        statuses, scores = seen.statuses(session, listed), seen.scores(session, listed)
    shown = listed or sorted({*statuses, *scores})
    accounts = [camera_account(name, statuses.get(name), scores.get(name)) for name in shown]
    return line_account([account for account in accounts if account is not None])
