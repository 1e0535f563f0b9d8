"""A command to the trainer, from a person or a machine."""

from typing import ClassVar, Literal

from pydantic import Field

from steadyline.contracts.message import AwareDatetime, JsonMessage

Action = Literal["promote", "rollback", "retrain", "shadow"]


class ModelCommand(JsonMessage):
    """Do ``action`` for ``product``; ``version`` where the action needs one."""

    TYPE: ClassVar[str] = "com.steadyline.model-command.v1"

    product: str = Field(description="Product of the line file.")
    action: Action = Field(description="What to do; shadow is refused so far.")
    version: int | None = Field(None, ge=1, description="The version to promote or to roll back to.")
    who: str = Field(description="Who ordered it: a person or a machine.")
    at: AwareDatetime = Field(description="When it was ordered.")
    why: str = Field("", description="Reason, kept in the history.")
