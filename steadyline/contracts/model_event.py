"""The models of one product: their state, package, thresholds, lineage and recent history."""

from typing import ClassVar, Literal

from pydantic import Field

from steadyline.contracts.message import AwareDatetime, JsonMessage, Part

ModelState = Literal["candidate", "shadow", "canary", "live", "retired", "rejected"]

PRODUCT_WIDE = "*"


class Calibration(Part):
    """Held-out normal scores, ascending, of one camera or of the whole product (key ``*``)."""

    scores: list[float] = Field(min_length=1, max_length=2000, description="Scores of held-out normals.")
    threshold: float = Field(description="A score above it is anomalous.")
    achieved_rate: float = Field(description="False-alarm rate the threshold bounds: max(wanted, 1/(n+1)).")


class Probe(Part):
    """A prepared picture with a known answer: self-test after a load, and the scorer's readiness."""

    picture_png: str = Field(description="Base64 of the prepared picture as PNG.")
    score: float = Field(description="The score that the model must give.")
    tolerance: float = Field(gt=0, description="How far from it an answer may be.")


class Package(Part):
    """Where a model package is and what each of its files must hash to."""

    uri: str = Field(description="Folder of the package in the store.")
    digests: dict[str, str] = Field(description="File name → SHA-256, hex.")


class Model(Part):
    """One version of a product's model."""

    version: int = Field(ge=1, description="Number within the product, never given twice.")
    detector: str = Field(description="Detector that was trained.")
    state: ModelState = Field(description="Where the version stands; shadow and canary are kept for later.")
    reason: str = Field(description="Why it stands there.")
    trained_at: AwareDatetime = Field(description="When its training ended.")
    size: int = Field(ge=8, description="Height and width of the input, in pixels.")
    channels: Literal["gray", "rgb"] = Field(description="Channels of the input.")
    package: Package
    threshold_version: int = Field(ge=1, description="Grows when thresholds change within the version.")
    calibrations: dict[str, Calibration] = Field(
        description="Camera, or * for the whole product → calibration."
    )
    probes: list[Probe] = Field(description="Known answers, checked before every use.")
    lineage: dict[str, str] = Field(description="data, bank, code digests, seed, profile, bank version.")
    figures: dict[str, float] = Field(description="clean_auroc, pgd_auroc_2/255, pgd_auroc_4/255, ...")


class Change(Part):
    """One step in the life of a version, with its reason."""

    at: AwareDatetime = Field(description="When it happened.")
    version: int = Field(description="The version that changed.")
    before: ModelState | None = Field(description="State before; null when the version is new.")
    after: ModelState = Field(description="State after; the same where an order was refused.")
    reason: str = Field(description="Why; begins with one fixed word where something was refused.")
    figures: dict[str, float] = Field(
        default_factory=dict,
        description="Figures of the step: the model's own, or the gate's of both models.",
    )


class Health(Part):
    """What the watch last found: does the live model still see known anomalies?"""

    at: AwareDatetime = Field(description="When the round ended.")
    version: int = Field(description="The version that was asked.")
    state: Literal["seeing", "blind"] = Field(description="What the watch concludes.")
    reason: str = Field(description="Why it concludes so.")
    detection: dict[str, float] = Field(description="Transform → detection rate.")
    false_alarm_rate: float = Field(description="Fraction of held-out normals over the threshold.")


class ModelEvent(JsonMessage):
    """Everything known of one product's models; the newest event per product is the truth (compacted)."""

    TYPE: ClassVar[str] = "com.steadyline.model-event.v1"

    product: str = Field(description="Product of the line file.")
    at: AwareDatetime = Field(description="When this was announced.")
    live_version: int | None = Field(description="The version in service; null while there is none.")
    models: list[Model] = Field(description="The versions kept, ascending; rejected ones for their figures.")
    changes: list[Change] = Field(description="The last changes, oldest first, 200 at most.")
    health: Health | None = None
    commands_until: int = Field(
        0, ge=0, description="Offset after the last command of the product that was acted on or refused."
    )

    def live(self) -> Model | None:
        """Return the model in service, or None."""
        return next((model for model in self.models if model.version == self.live_version), None)
