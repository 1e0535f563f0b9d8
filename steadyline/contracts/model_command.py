"""A command to the trainer, from a person or a machine."""

from typing import ClassVar, Literal

from pydantic import Field

from steadyline.contracts.message import MOST_VERSION, AwareDatetime, Items, JsonMessage, Name
from steadyline.contracts.station import MOST_PICTURES, PictureDigest

Action = Literal["promote", "rollback", "retrain", "shadow", "calibrate", "uncalibrate"]

# The history keeps both, 200 times, in one event of limited size.
MOST_WHO, MOST_WHY = 100, 500


class ModelCommand(JsonMessage):
    """Do ``action`` for ``product``; ``version`` where the action needs one."""

    TYPE: ClassVar[str] = "com.steadyline.model-command.v1"

    product: Name = Field(description="Product of the line file.")
    action: Action = Field(description="What to do; shadow is refused so far.")
    version: int | None = Field(
        None, ge=1, le=MOST_VERSION, description="The version to promote or to roll back to."
    )
    who: str = Field(max_length=MOST_WHO, description="Who ordered it: a person or a machine.")
    at: AwareDatetime = Field(description="When it was ordered.")
    why: str = Field("", max_length=MOST_WHY, description="Reason, kept in the history.")
    camera: Name | None = Field(
        None,
        description="The camera to calibrate, or to take the calibration back of.",
        exclude_if=lambda camera: camera is None,
    )
    pictures: Items[PictureDigest] = Field(
        default_factory=list,
        max_length=MOST_PICTURES,
        description="SHA-256 of the pictures to calibrate with, as they lie in the store.",
        exclude_if=lambda pictures: not pictures,
    )
    dry_run: bool = Field(
        False,
        description="Find the calibration, say what it would be, and change nothing.",
        exclude_if=lambda dry_run: not dry_run,
    )
