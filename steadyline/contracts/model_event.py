"""The models of one product: their state, package, thresholds, lineage and recent history."""

from typing import ClassVar, Literal

from pydantic import Field

from steadyline.contracts.message import AwareDatetime, JsonMessage, Part

ModelState = Literal["candidate", "shadow", "canary", "live", "retired", "rejected"]

PRODUCT_WIDE = "*"


class Calibration(Part):
    """Held-out normal scores, ascending, of one camera or of the whole product (key ``*``)."""

    scores: list[float] = Field(min_length=1, max_length=2000)
    threshold: float
    achieved_rate: float = Field(description="False-alarm rate the threshold bounds: max(wanted, 1/(n+1)).")


class Probe(Part):
    """A prepared picture with a known answer: self-test after a load, and the scorer's readiness."""

    picture_png: str = Field(description="Base64 of the prepared picture as PNG.")
    score: float
    tolerance: float = Field(gt=0)


class Package(Part):
    """Where a model package is and what each of its files must hash to."""

    uri: str
    digests: dict[str, str] = Field(description="File name → SHA-256, hex.")


class Model(Part):
    """One version of a product's model."""

    version: int = Field(ge=1)
    detector: str
    state: ModelState
    reason: str
    trained_at: AwareDatetime
    size: int = Field(ge=8, description="Height and width of the input, in pixels.")
    channels: Literal["gray", "rgb"]
    package: Package
    threshold_version: int = Field(ge=1)
    calibrations: dict[str, Calibration] = Field(
        description="Camera, or * for the whole product → calibration."
    )
    probes: list[Probe]
    lineage: dict[str, str] = Field(description="data, bank, code digests, seed, profile, bank version.")
    figures: dict[str, float] = Field(description="clean_auroc, pgd_auroc_2/255, pgd_auroc_4/255, ...")


class Change(Part):
    """One step in the life of a version, with its reason."""

    at: AwareDatetime
    version: int
    before: ModelState | None
    after: ModelState
    reason: str
    figures: dict[str, float] = Field(default_factory=dict)


class Health(Part):
    """What the watch last found: does the live model still see known anomalies?"""

    at: AwareDatetime
    version: int
    state: Literal["seeing", "blind"]
    reason: str
    detection: dict[str, float] = Field(description="Transform → detection rate.")
    false_alarm_rate: float


class ModelEvent(JsonMessage):
    """Everything known of one product's models; the newest event per product is the truth (compacted)."""

    TYPE: ClassVar[str] = "com.steadyline.model-event.v1"

    product: str
    at: AwareDatetime
    live_version: int | None
    models: list[Model] = Field(description="The versions kept, ascending; rejected ones for their figures.")
    changes: list[Change] = Field(description="The last changes, oldest first, 200 at most.")
    health: Health | None = None
    commands_until: int = Field(
        0, ge=0, description="Offset after the last command of the product that was acted on or refused."
    )

    def live(self) -> Model | None:
        """Return the model in service, if any."""
        return next((model for model in self.models if model.version == self.live_version), None)
