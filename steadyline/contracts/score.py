"""The score of one frame: raw score, conformal p-value, threshold, verdict, peak, evidence."""

from datetime import datetime
from typing import ClassVar, Literal

from pydantic import Field
from typing_extensions import override

from steadyline.contracts.message import AwareDatetime, JsonMessage, Part

Verdict = Literal["normal", "anomalous"]


class Peak(Part):
    """The highest cell of the map, in fractions of the frame: (0, 0) is the top left corner."""

    x: float = Field(ge=0, le=1)
    y: float = Field(ge=0, le=1)
    value: float


class Score(JsonMessage):
    """What the model says of one frame. ``source_*`` name the frame's place on its topic."""

    TYPE: ClassVar[str] = "com.steadyline.score.v1"

    frame: str = Field(description="Frame id, camera/epoch/sequence.")
    camera: str
    product: str
    captured_at: AwareDatetime
    scored_at: AwareDatetime
    model_version: int = Field(ge=1)
    score: float = Field(description="Raw score; high is anomalous.")
    p_value: float = Field(
        gt=0, le=1, description="Conformal, against held-out normals of the camera or product."
    )
    threshold: float
    threshold_version: int = Field(ge=1)
    verdict: Verdict
    peak: Peak
    source_partition: int = Field(ge=0)
    source_offset: int = Field(ge=0)
    picture_uri: str | None = Field(None, description="The frame in the store, when kept.")
    map_uri: str | None = Field(None, description="The map in the store (PNG), when kept.")

    @override
    def identity(self, subject: str, moment: datetime) -> str:
        """A frame has one score per model version, however often it is worked out."""
        return f"{self.frame}@{self.model_version}"
