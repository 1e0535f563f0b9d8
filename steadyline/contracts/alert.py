"""One change of an incident: what subscribers get, whatever the channel."""

from datetime import datetime
from typing import Annotated, ClassVar, Literal

from pydantic import Field, FiniteFloat
from typing_extensions import override

from steadyline.contracts.message import (
    AwareDatetime,
    Count,
    Items,
    JsonMessage,
    Name,
    Number,
    Part,
    Uri,
    Version,
)
from steadyline.contracts.score import MOST_FRAME_ID, Area, PartName

IncidentKind = Literal[
    "anomaly",
    "camera_down",
    "camera_frozen",
    "camera_dark",
    "camera_bright",
    "camera_blurred",
    "camera_slow",
    "frames_missing",
    "settings_wandered",
    "model_refused",
    "model_promoted",
    "model_rolled_back",
    "model_blind",
    "score_drift",
    "false_alarms",
    "lag",
    "dead_letters",
    "no_scores",
]
Severity = Literal["info", "warning", "critical"]
IncidentState = Literal["open", "acknowledged", "snoozed", "resolved"]
AlertChange = Literal[
    "opened", "risen", "acknowledged", "lapsed", "snoozed", "woken", "assigned", "commented", "resolved"
]

IncidentId = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$", description="32 hexadecimal digits.")]
FrameText = Annotated[str, Field(max_length=MOST_FRAME_ID)]
Text = Annotated[str, Field(max_length=2_000)]
Person = Annotated[str, Field(max_length=200)]


class Region(Part):
    """Where in the frame the worst cell of the map lies, in fractions: (0, 0) is the top left corner."""

    x: float = Field(ge=0, le=1, description="From the left edge.")
    y: float = Field(ge=0, le=1, description="From the top edge.")


class AnomalyFacts(Part):
    """What is known of the frames of an incident of the kind ``anomaly``."""

    first_frame: FrameText = Field(description="Frame id of the first frame, camera/epoch/sequence.")
    last_frame: FrameText = Field(description="Frame id of the latest anomalous frame.")
    frames: Count = Field(description="Anomalous frames so far.")
    worst_frame: FrameText = Field(description="Frame id of the one whose figures stand here.")
    score: FiniteFloat = Field(description="Its score; high is anomalous.")
    threshold: FiniteFloat = Field(description="The threshold of the model that gave it.")
    p_value: float = Field(gt=0, le=1, description="Its conformal p-value.")
    model_version: Version = Field(description="Version of that model.")
    region: Region
    picture_uri: Uri | None = Field(None, description="The frame in the store, when kept.")
    map_uri: Uri | None = Field(None, description="The map in the store, when kept.")
    certified_margin: int | None = Field(
        None,
        ge=0,
        le=255,
        description="Steps of 1/255 by which all pixels may change without turning the proven verdict.",
        exclude_if=lambda margin: margin is None,
    )
    part: PartName | None = Field(
        None,
        description="Part that the frame shows; absent where its producer names none.",
        exclude_if=lambda part: part is None,
    )
    area: Area | None = Field(
        None,
        description="Share of its map above the threshold; absent where the map's scale has no threshold.",
        exclude_if=lambda area: area is None,
    )


class BudgetFacts(Part):
    """What is known of the verdicts of a camera in an incident of the kind ``false_alarms``."""

    promised: float = Field(gt=0, le=1, description="Share of normal frames that may be judged anomalous.")
    observed: float = Field(ge=0, le=1, description="Share of all frames that were, in the window.")
    frames: Count = Field(description="Frames in the window.")
    burn_rate: FiniteFloat = Field(ge=0, description="How many times what was promised that is.")
    window_seconds: Number = Field(description="How far the window goes back from the latest frame.")


class DriftBin(Part):
    """One tenth of the calibration's scores, in the two histograms of drift."""

    calibration: float = Field(ge=0, le=1, description="Share of the calibration's scores in it.")
    recent: Count = Field(description="Frames in it, of the last few hundred that were looked at.")


class DriftFacts(Part):
    """What is known of the normal frames of a camera in an incident of the kind ``score_drift``."""

    looked_at: Count = Field(description="Frames looked at since the calibration or the last such incident.")
    p_value: float = Field(
        gt=0,
        le=1,
        description="Anytime-valid, over all of these frames: while nothing drifts it is ever at most u with "
        "probability u or less.",
    )
    bins: Items[DriftBin] = Field(
        min_length=10,
        max_length=10,
        description="The tenths of the calibration, that of the lowest scores first.",
    )


class Alert(JsonMessage):
    """A change of an incident, and the incident as it stands after it.

    The key is the incident's id. Changes of one incident are numbered from 1 without a gap; one that is
    delivered twice has the same id both times.
    """

    TYPE: ClassVar[str] = "com.steadyline.alert.v1"

    incident: IncidentId = Field(description="Id of the incident.")
    sequence: Number = Field(description="Number of the change within the incident, from 1.")
    change: AlertChange = Field(description="What has changed.")
    at: AwareDatetime = Field(
        description="When it changed: by the camera's clock for what was seen, by ours for what somebody did."
    )
    who: Person | None = Field(None, description="Who changed it; null where a rule did.")
    why: Text = Field(description="One sentence: the rule and the values that made the change.")
    notify: bool = Field(description="Whether subscribers are notified; false while a rule holds it back.")
    suppressed: Count = Field(0, description="Notifications held back since the last one that was not.")
    kind: IncidentKind = Field(description="What kind of incident it is.")
    severity: Severity = Field(description="How serious it is now.")
    state: IncidentState = Field(description="Where it stands now.")
    summary: Text = Field(description="One sentence for people.")
    camera: Name | None = Field(None, description="Camera that it is about; null where it is about none.")
    product: Name | None = Field(None, description="Product that it is about; null where it is about none.")
    opened_at: AwareDatetime = Field(description="When the incident was opened.")
    assigned_to: Person | None = Field(None, description="Who has taken it.")
    snoozed_until: AwareDatetime | None = Field(None, description="When a snooze ends.")
    comment: Text | None = Field(None, description="What was said with this change.")
    anomaly: AnomalyFacts | None = Field(None, description="The frames, for the kind anomaly.")
    budget: BudgetFacts | None = Field(
        None,
        description="The verdicts, for the kind false_alarms; absent for the others.",
        exclude_if=lambda budget: budget is None,
    )
    drift: DriftFacts | None = Field(
        None,
        description="The normal frames, for the kind score_drift; absent for the others.",
        exclude_if=lambda drift: drift is None,
    )

    @override
    def identity(self, subject: str, moment: datetime) -> str:
        """Return the CloudEvents id: the incident and the number of the change."""
        return f"{self.incident}/{self.sequence}"
