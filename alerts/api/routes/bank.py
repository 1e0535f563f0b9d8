"""The banks of pseudo-anomalies: what is in them, and how much of it the live models find."""

from fastapi import APIRouter
from starlette.responses import Response

from alerts.api.auth import Viewer
from alerts.api.dependencies import Api
from alerts.api.page import PathName
from alerts.api.routes.models import check_product
from alerts.control.bank import BankView, bank_view

router = APIRouter(prefix="/bank", tags=["bank"])


@router.get("/{product}", response_model=BankView)
def show_bank(product: PathName, _: Viewer, api: Api) -> Response:
    """Show a product's bank: its transforms, the share accepted of each, and the share that is detected."""
    check_product(api, product)
    manifest, trainer = api.control.bank.current(product), api.control.bank.holder(product)
    with api.database.read() as session:
        models = api.control.seen.models_of(session, product)
    view = bank_view(product, manifest, trainer, models)
    return Response(view.model_dump_json(), media_type="application/json")
