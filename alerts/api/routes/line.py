"""The products of the line: what is promised of each, and when its frames open an incident."""

from fastapi import APIRouter
from pydantic import BaseModel, Field

from alerts.api.auth import Viewer
from alerts.api.dependencies import Api
from steadyline.alert_rules import ProductAlerts

router = APIRouter(tags=["line"])


class ProductView(BaseModel):
    """A product of the line file."""

    name: str
    detector: str = Field(description="Detector that gives score and verdict, and the one of the map.")
    false_alarm_rate: float = Field(description="Share of normal frames that may be called anomalous.")
    cameras: list[str] = Field(description="The cameras that look at it, where the line file lists them.")
    rules: ProductAlerts = Field(description="When its frames open an incident, by the line file.")


@router.get("/products")
def list_products(_: Viewer, api: Api) -> list[ProductView]:
    """List the products of the line."""
    return [
        ProductView(
            name=name,
            detector=product.detectors,
            false_alarm_rate=product.false_alarm_rate,
            cameras=[camera.id for camera in api.line.cameras if camera.product == name],
            rules=product.alerts,
        )
        for name, product in sorted(api.line.products.items())
    ]
