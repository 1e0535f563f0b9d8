"""A product's models as people are shown them: without calibrations, probes and package."""

from typing import Literal

from pydantic import AwareDatetime, Field

from steadyline.contracts.message import Part
from steadyline.contracts.model_event import PRODUCT_WIDE, Change, Health, Model, ModelEvent, ModelState


class SeenModel(Part):
    """One version."""

    version: int = Field(description="Number within the product.")
    detector: str = Field(description="Detector that was trained.")
    state: ModelState = Field(description="Where the version stands.")
    reason: str = Field(description="Why it stands there.")
    trained_at: AwareDatetime = Field(description="When its training ended.")
    size: int = Field(description="Height of its input in pixels; its width too, where no width is told.")
    width: int | None = Field(
        None,
        description="Width of its input in pixels, where it is not the height.",
        exclude_if=lambda width: width is None,
    )
    channels: Literal["gray", "rgb"] = Field(description="Channels of its input.")
    threshold_version: int = Field(description="Grows when its thresholds change.")
    threshold: float = Field(description="Threshold of the whole product.")
    achieved_rate: float = Field(description="False-alarm rate that this threshold bounds.")
    thresholds: dict[str, float] = Field(description="Camera → threshold of its own.")
    is_certified: bool = Field(description="Whether its scores come with a certified margin.")
    figures: dict[str, float] = Field(description="The figures of its training and of the gate.")
    lineage: dict[str, str] = Field(description="What it was made from.")


class SeenModels(Part):
    """All versions of a product, and what became of them."""

    product: str = Field(description="Product of the line file.")
    at: AwareDatetime = Field(description="When the trainer has said so.")
    live_version: int | None = Field(description="The version in service; null while there is none.")
    training_version: int | None = Field(description="The version that is being trained; null for none.")
    models: list[SeenModel] = Field(description="The versions kept, ascending.")
    changes: list[Change] = Field(description="The last changes, oldest first.")
    health: Health | None = Field(None, description="What the watch last found.")
    best: dict[str, float] = Field(description="The best of each figure that a live version had.")
    commands_until: int = Field(description="Offset after the last order that was acted on or refused.")


def seen_models(event: ModelEvent) -> SeenModels:
    """Return what is shown of an event."""
    return SeenModels(
        product=event.product,
        at=event.at,
        live_version=event.live_version,
        training_version=event.order.version if event.order is not None else None,
        models=[_seen_model(model) for model in event.models],
        changes=list(event.changes),
        health=event.health,
        best=event.best,
        commands_until=event.commands_until,
    )


def _seen_model(model: Model) -> SeenModel:
    whole = model.calibrations[PRODUCT_WIDE]
    cameras = {name: one.threshold for name, one in model.calibrations.items() if name != PRODUCT_WIDE}
    return SeenModel(
        version=model.version,
        detector=model.detector,
        state=model.state,
        reason=model.reason,
        trained_at=model.trained_at,
        size=model.size,
        width=model.width,
        channels=model.channels,
        threshold_version=model.threshold_version,
        threshold=whole.threshold,
        achieved_rate=whole.achieved_rate,
        thresholds=cameras,
        is_certified=model.is_certified,
        figures=model.figures,
        lineage=model.lineage,
    )
