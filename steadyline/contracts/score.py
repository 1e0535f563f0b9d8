"""The score of one frame: raw score, conformal p-value, threshold, verdict, peak, evidence."""

from datetime import datetime
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, model_validator
from typing_extensions import override

from steadyline.contracts.frame import MOST_PART, is_part_name
from steadyline.contracts.message import (
    AwareDatetime,
    Count,
    Digest,
    JsonMessage,
    Name,
    Part,
    Uri,
    Version,
    Word,
)

Verdict = Literal["normal", "anomalous"]

MOST_FRAME_ID = 64 + 2 * (1 + 19)  # a camera, and two numbers of 63 bits


def _check_part(text: str) -> str:
    if not is_part_name(text):
        raise ValueError("no name of a part")
    return text


PartName = Annotated[str, Field(min_length=1, max_length=MOST_PART), AfterValidator(_check_part)]
Area = Annotated[float, Field(ge=0, le=1)]


class Peak(Part):
    """The highest cell of the map, in fractions of the frame: (0, 0) is the top left corner."""

    x: float = Field(ge=0, le=1, description="From the left edge.")
    y: float = Field(ge=0, le=1, description="From the top edge.")
    value: float = Field(description="The map's value there.")


class Score(JsonMessage):
    """What the model says of one frame. ``source_*`` name the frame's place on its topic."""

    TYPE: ClassVar[str] = "com.steadyline.score.v1"

    frame: str = Field(max_length=MOST_FRAME_ID, description="Frame id, camera/epoch/sequence.")
    camera: Name = Field(description="Camera of the line file.")
    product: Name = Field(description="Product that the camera looks at.")
    captured_at: AwareDatetime = Field(description="When the frame was captured.")
    scored_at: AwareDatetime = Field(description="When its score was known.")
    model_version: Version = Field(description="Version of the model that was asked.")
    score: float = Field(description="Raw score; high is anomalous.")
    p_value: float = Field(
        gt=0, le=1, description="Conformal, against held-out normals of the camera or product."
    )
    threshold: float = Field(description="A score above it is anomalous.")
    threshold_version: Version = Field(description="Version of the threshold within the model's version.")
    verdict: Verdict = Field(description="What follows from score and threshold.")
    peak: Peak
    source_partition: Count = Field(description="Partition of the frame on its topic.")
    source_offset: Count = Field(description="Offset of the frame on its topic.")
    picture_uri: Uri | None = Field(None, description="The frame in the store, when kept.")
    map_uri: Uri | None = Field(None, description="The map in the store (PNG), when kept.")
    picture_sha256: Digest | None = Field(
        None, description="SHA-256 of the kept frame, hex.", exclude_if=lambda digest: digest is None
    )
    certified_verdict: Verdict | None = Field(
        None,
        description="Verdict of the model's certified part, at a threshold of its own; absent where there is "
        "none.",
        exclude_if=lambda verdict: verdict is None,
    )
    certified_margin: int | None = Field(
        None,
        ge=0,
        le=255,
        description="That verdict is proven for every change of the decoded frame by at most so many steps "
        "of 8 bits in each pixel.",
        exclude_if=lambda margin: margin is None,
    )

    part: PartName | None = Field(
        None,
        description="Part that the frame shows, as its producer names it; absent where it names none.",
        exclude_if=lambda part: part is None,
    )
    area: Area | None = Field(
        None,
        description="Share of the map's cells above the threshold, on the map's own scale; absent where the "
        "map's scale has no threshold.",
        exclude_if=lambda area: area is None,
    )

    spoke: Word | None = Field(
        None,
        description="The half of the model that found more, patch or robust for example; absent where the "
        "score has one source.",
        exclude_if=lambda spoke: spoke is None,
    )
    calibrated: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="The score on the one scale of its model: 0.5 is the threshold, 0.75 one spread of "
        "held-out normals above it; absent in a score of an earlier release.",
        exclude_if=lambda calibrated: calibrated is None,
    )

    @model_validator(mode="after")
    def _is_above_a_half_where_it_is_anomalous(self) -> "Score":
        if self.calibrated is not None and (self.calibrated > 0.5) != (self.verdict == "anomalous"):
            raise ValueError(f"calibrated is {self.calibrated}, and the verdict {self.verdict}")
        return self

    @model_validator(mode="after")
    def _has_both_or_neither(self) -> "Score":
        if (self.certified_verdict is None) != (self.certified_margin is None):
            raise ValueError("certified_verdict and certified_margin come together")
        return self

    @override
    def identity(self, subject: str, moment: datetime) -> str:
        """Return the CloudEvents id: a frame has one score per model version, computed once or more."""
        return f"{self.frame}@{self.model_version}"
