"""The models of each product: what there is, what became of them, as the intake has believed it."""

from typing import Literal

from fastapi import APIRouter
from pydantic import AwareDatetime, BaseModel, Field
from starlette.responses import Response

from alerts.api.auth import Viewer
from alerts.api.dependencies import Api, ApiDependencies
from alerts.api.page import PathName
from alerts.api.precondition import IfNoneMatch, etag, names, not_modified
from alerts.api.problem import Refusal
from alerts.database.seen_models import SeenModels
from steadyline.contracts.model_event import ModelState

router = APIRouter(prefix="/models", tags=["models"])


class VersionLine(BaseModel):
    """One version, in short."""

    version: int
    state: ModelState
    detector: str
    trained_at: AwareDatetime
    reason: str = Field(description="Why it stands there.")
    threshold: float = Field(description="Threshold of the whole product.")
    figures: dict[str, float] = Field(description="The figures of its training and of the gate.")


class ProductModels(BaseModel):
    """The versions of one product, in short; all is empty before its first model."""

    product: str
    at: AwareDatetime | None = Field(description="When the trainer has said so; null for never.")
    live_version: int | None = Field(description="The version in service.")
    training_version: int | None = Field(description="The version that is being trained.")
    health: Literal["seeing", "blind"] | None = Field(description="What the watch last concluded.")
    versions: list[VersionLine] = Field(description="The versions kept, ascending.")


class ModelsList(BaseModel):
    """The models of all products of the line."""

    items: list[ProductModels]


@router.get("", response_model=ModelsList)
def list_models(_: Viewer, api: Api) -> Response:
    """List the products of the line with their versions."""
    with api.database.read() as session:
        seen = api.control.seen.models(session)
    found = ModelsList(items=[_brief(name, seen.get(name)) for name in sorted(api.line.products)])
    return Response(found.model_dump_json(), media_type="application/json")


@router.get("/{product}", response_model=SeenModels)
def show_models(product: PathName, _: Viewer, api: Api, if_none_match: IfNoneMatch = None) -> Response:
    """Show all that is known of a product's versions, and the history of their changes, oldest first."""
    check_product(api, product)
    with api.database.read() as session:
        found = api.control.seen.models_of(session, product)
    if found is None:
        raise Refusal("no_models")
    tag = etag(f"{found.at.timestamp():.6f}-{found.commands_until}-{len(found.changes)}")
    if if_none_match is not None and names(if_none_match, tag):
        return not_modified(tag)
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    return Response(found.model_dump_json(), 200, headers, "application/json")


def check_product(api: ApiDependencies, product: str) -> None:
    """Raise Refusal unless the line has the product."""
    if product not in api.line.products:
        raise Refusal("no_such_product")


def _brief(product: str, seen: SeenModels | None) -> ProductModels:
    return ProductModels(
        product=product,
        at=seen.at if seen is not None else None,
        live_version=seen.live_version if seen is not None else None,
        training_version=seen.training_version if seen is not None else None,
        health=seen.health.state if seen is not None and seen.health is not None else None,
        versions=[
            VersionLine.model_validate(model, from_attributes=True)
            for model in (seen.models if seen is not None else ())
        ],
    )
