"""The state of one camera and its side of the accounting."""

from typing import ClassVar, Literal

from pydantic import Field

from steadyline.contracts.message import AwareDatetime, JsonMessage

CameraState = Literal["up", "down", "frozen", "dark", "bright", "blurred", "slow", "ended"]


class CameraStatus(JsonMessage):
    """Counts of one epoch of one camera, up to and with frame ``sequence``.

    ``captured = published + sum(dropped.values()) + pending`` always holds.
    """

    TYPE: ClassVar[str] = "com.steadyline.camera-status.v1"

    camera: str = Field(description="Camera of the line file.")
    product: str = Field(description="Product that the camera looks at.")
    epoch: int = Field(ge=1, description="The run these counts are of: its start, in ns since 1970.")
    at: AwareDatetime = Field(description="When this was said.")
    state: CameraState = Field(description="What the camera does now; ended closes the account.")
    reason: str = Field(description="One word saying why the camera is in this state.")
    sequence: int = Field(ge=0, description="The last captured frame that the counts include.")
    captured: int = Field(ge=0, description="Frames captured, dropped ones included.")
    published: int = Field(ge=0, description="Acknowledged by the broker.")
    pending: int = Field(
        ge=0, description="Captured, neither acknowledged nor dropped: queued, spooled, in flight."
    )
    dropped: dict[str, int] = Field(default_factory=dict, description="Reason word → frames never published.")
    dropped_sequences: list[tuple[int, int, str]] = Field(
        default_factory=list,
        description="Every dropped run as (first, last, reason), merged; an epoch ends after 1000 runs.",
    )
    state_counts: dict[str, int] = Field(
        default_factory=dict, description="Reason word → times it was entered."
    )
