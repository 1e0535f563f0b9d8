"""What a person says of one frame: it is good, or it shows a defect."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from steadyline.contracts.message import AwareDatetime, JsonMessage, Name, Part
from steadyline.contracts.score import MOST_FRAME_ID

FrameLabel = Literal["good", "defect", "withdrawn"]


class MarkedRegion(Part):
    """A rectangle of the frame, in fractions: (0, 0) is the top left corner."""

    x: float = Field(ge=0, le=1, description="Left edge.")
    y: float = Field(ge=0, le=1, description="Top edge.")
    width: float = Field(gt=0, le=1, description="Width.")
    height: float = Field(gt=0, le=1, description="Height.")

    @model_validator(mode="after")
    def _lies_in_the_frame(self) -> Self:
        if self.x + self.width > 1 + 1e-6 or self.y + self.height > 1 + 1e-6:
            raise ValueError("the region goes beyond the frame")
        return self


class Feedback(JsonMessage):
    """The label of one frame. The key is the frame id; a frame's newest message is the one that counts."""

    TYPE: ClassVar[str] = "com.steadyline.feedback.v1"

    frame: Annotated[str, Field(max_length=MOST_FRAME_ID)] = Field(
        description="Frame id, camera/epoch/sequence."
    )
    camera: Name = Field(description="Camera of the line file.")
    product: Name = Field(description="Product that the camera looks at.")
    label: FrameLabel = Field(description="What the frame is; withdrawn takes an earlier label back.")
    region: MarkedRegion | None = Field(None, description="Where the defect is, when it was marked.")
    who: Annotated[str, Field(min_length=1, max_length=200)] = Field(description="Who says so.")
    at: AwareDatetime = Field(description="When it was said.")
    note: Annotated[str, Field(max_length=2_000)] | None = Field(None, description="What was said with it.")
