"""A person's or a machine's order to the trainer."""

from typing import ClassVar, Literal

from pydantic import Field

from steadyline.contracts.message import AwareDatetime, JsonMessage

Action = Literal["promote", "rollback", "retrain", "shadow"]


class ModelCommand(JsonMessage):
    """Do ``action`` for ``product``; ``version`` where the action needs one."""

    TYPE: ClassVar[str] = "com.steadyline.model-command.v1"

    product: str
    action: Action
    version: int | None = Field(None, ge=1)
    who: str
    at: AwareDatetime
    why: str = ""
