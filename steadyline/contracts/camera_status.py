"""The state of one camera and its side of the accounting."""

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from steadyline.contracts.message import AwareDatetime, Count, Items, JsonMessage, Name, Number, Table, Word

CameraState = Literal["up", "down", "frozen", "dark", "bright", "blurred", "slow", "ended"]

MOST_WORDS = 64  # reasons in one status; there are two dozen
MOST_RUNS = 20_000  # of dropped frames in one status: more would not fit into a message


class CameraStatus(JsonMessage):
    """Counts of one epoch of one camera, up to and with frame ``sequence``.

    ``captured = published + sum(dropped.values()) + pending`` always holds.
    """

    TYPE: ClassVar[str] = "com.steadyline.camera-status.v1"

    camera: Name = Field(description="Camera of the line file.")
    product: Name = Field(description="Product that the camera looks at.")
    epoch: Number = Field(description="The run these counts are of: its start, in ns since 1970.")
    at: AwareDatetime = Field(description="When this was said.")
    state: CameraState = Field(description="What the camera does now; ended closes the account.")
    reason: Word = Field(description="One word saying why the camera is in this state.")
    sequence: Count = Field(description="The last captured frame that the counts include.")
    captured: Count = Field(description="Frames captured, dropped ones included.")
    published: Count = Field(description="Acknowledged by the broker.")
    pending: Count = Field(
        description="Captured, neither acknowledged nor dropped: queued, spooled, in flight."
    )
    dropped: Table[Word, Count] = Field(
        default_factory=dict, max_length=MOST_WORDS, description="Reason word → frames never published."
    )
    dropped_sequences: Items[tuple[Number, Number, Word]] = Field(
        default_factory=list,
        max_length=MOST_RUNS,
        description="Every dropped run as (first, last, reason), merged; an epoch ends after 1000 runs.",
    )
    state_counts: Table[Word, Count] = Field(
        default_factory=dict, max_length=MOST_WORDS, description="Reason word → times it was entered."
    )

    @model_validator(mode="after")
    def _runs_are_of_captured_frames(self) -> Self:
        """Refuse runs that are not ascending or go beyond ``sequence``: readers loop over them."""
        end = 0
        for first, last, _ in self.dropped_sequences:
            if not end < first <= last <= self.sequence:
                raise ValueError("dropped_sequences must ascend without overlap, up to sequence at most")
            end = last
        return self
