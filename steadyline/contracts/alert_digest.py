"""Several alerts told at once: a digest that was due, or what still stands when a maintenance window ends."""

from datetime import datetime
from typing import Annotated, ClassVar, Literal

from pydantic import Field
from typing_extensions import override

from steadyline.contracts.alert import Alert, Text
from steadyline.contracts.message import AwareDatetime, Count, JsonMessage

DigestReason = Literal["schedule", "window_ended"]
MOST_ALERTS = 200  # of a digest: what is beyond is counted

DigestId = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$", description="32 hexadecimal digits.")]


class AlertDigest(JsonMessage):
    """What one subscription is told in one message: of each incident its newest change in the span.

    A digest that is delivered twice has the same id both times.
    """

    TYPE: ClassVar[str] = "com.steadyline.alert-digest.v1"

    id: DigestId = Field(description="Id of the digest.")
    reason: DigestReason = Field(description="What made it due.")
    title: Text = Field(description="One sentence for people.")
    since: AwareDatetime = Field(description="Beginning of the span that it tells of.")
    until: AwareDatetime = Field(description="End of that span.")
    alerts: list[Alert] = Field(max_length=MOST_ALERTS, description="The alerts, oldest first.")
    left_out: Count = Field(0, description="Alerts that did not fit.")

    @override
    def identity(self, subject: str, moment: datetime) -> str:
        """Return the CloudEvents id, which is the digest's own."""
        return self.id
