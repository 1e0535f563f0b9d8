"""The score of one frame: raw score, conformal p-value, threshold, verdict, peak, evidence."""

from datetime import datetime
from typing import ClassVar, Literal

from pydantic import Field
from typing_extensions import override

from steadyline.contracts.message import AwareDatetime, JsonMessage, Part

Verdict = Literal["normal", "anomalous"]


class Peak(Part):
    """The highest cell of the map, in fractions of the frame: (0, 0) is the top left corner."""

    x: float = Field(ge=0, le=1, description="From the left edge.")
    y: float = Field(ge=0, le=1, description="From the top edge.")
    value: float = Field(description="The map's value there.")


class Score(JsonMessage):
    """What the model says of one frame. ``source_*`` name the frame's place on its topic."""

    TYPE: ClassVar[str] = "com.steadyline.score.v1"

    frame: str = Field(description="Frame id, camera/epoch/sequence.")
    camera: str = Field(description="Camera of the line file.")
    product: str = Field(description="Product that the camera looks at.")
    captured_at: AwareDatetime = Field(description="When the frame was captured.")
    scored_at: AwareDatetime = Field(description="When its score was known.")
    model_version: int = Field(ge=1, description="Version of the model that was asked.")
    score: float = Field(description="Raw score; high is anomalous.")
    p_value: float = Field(
        gt=0, le=1, description="Conformal, against held-out normals of the camera or product."
    )
    threshold: float = Field(description="A score above it is anomalous.")
    threshold_version: int = Field(ge=1, description="Version of the threshold within the model's version.")
    verdict: Verdict = Field(description="What follows from score and threshold.")
    peak: Peak
    source_partition: int = Field(ge=0, description="Partition of the frame on its topic.")
    source_offset: int = Field(ge=0, description="Offset of the frame on its topic.")
    picture_uri: str | None = Field(None, description="The frame in the store, when kept.")
    map_uri: str | None = Field(None, description="The map in the store (PNG), when kept.")
    picture_sha256: str | None = Field(
        None, description="SHA-256 of the kept frame, hex.", exclude_if=lambda digest: digest is None
    )

    @override
    def identity(self, subject: str, moment: datetime) -> str:
        """Return the CloudEvents id: a frame has one score per model version, computed once or more."""
        return f"{self.frame}@{self.model_version}"
