"""The rules of alerts in the line file: what opens and closes an incident, and who may be told how often."""

from datetime import timedelta

from pydantic import Field, model_validator

from steadyline.contracts.alert import IncidentKind
from steadyline.line_fields import Duration, Interval, LineSection


class FrameCount(LineSection):
    """So many anomalous frames among the last ones of a camera."""

    anomalous: int = Field(3, ge=1, le=100, description="Anomalous frames that open an incident.")
    of: int = Field(5, ge=1, le=100, description="Last frames of the camera among which they count.")

    @model_validator(mode="after")
    def _can_be_reached(self) -> "FrameCount":
        if self.anomalous > self.of:
            raise ValueError(f"{self.anomalous} anomalous frames are never among {self.of}")
        return self


class PartCount(LineSection):
    """So many anomalous parts among the last ones of a camera; a part is when any of its frames is."""

    anomalous: int = Field(2, ge=1, le=100, description="Anomalous parts that open an incident.")
    of: int = Field(20, ge=1, le=100, description="Last parts of the camera among which they count.")

    @model_validator(mode="after")
    def _can_be_reached(self) -> "PartCount":
        if self.anomalous > self.of:
            raise ValueError(f"{self.anomalous} anomalous parts are never among {self.of}")
        return self


class SeverityLimits(LineSection):
    """What makes an anomaly serious; the most serious frame of the incident decides."""

    warning_p_value: float = Field(
        0.02, gt=0, le=1, description="Up to this p-value an anomaly is a warning, above it an info."
    )
    critical_p_value: float = Field(0.002, gt=0, le=1, description="Up to this p-value it is critical.")
    critical_margin: int | None = Field(
        None,
        ge=0,
        le=255,
        description="Certified margin, in steps of 1/255, from which on it is critical whatever the p-value.",
    )

    warning_area: float | None = Field(
        None,
        gt=0,
        le=1,
        description="Share of the map above the threshold from which on it is a warning; by default the area "
        "decides nothing.",
    )
    critical_area: float | None = Field(
        None,
        gt=0,
        le=1,
        description="Share of the map above the threshold from which on it is critical; by default the area "
        "decides nothing.",
    )

    @model_validator(mode="after")
    def _ascend(self) -> "SeverityLimits":
        if self.critical_p_value > self.warning_p_value:
            raise ValueError("critical_p_value is above warning_p_value")
        if self.warning_area is not None and self.warning_area > (self.critical_area or 1):
            raise ValueError("warning_area is above critical_area")
        return self


class DriftRules(LineSection):
    """When the scores of frames judged normal no longer look like those of the calibration."""

    tolerance: float = Field(
        0.15,
        gt=0,
        lt=0.5,
        description="How far from a half the share of normal frames in a half of the calibration may be; "
        "a calibration of few frames needs more.",
    )
    every: int = Field(
        10,
        ge=1,
        le=100_000,
        description="Of so many normal frames of a camera one is looked at: far enough apart to show another "
        "part.",
    )
    false_alarm_frames: int = Field(
        100_000,
        ge=100,
        le=1_000_000_000,
        description="Frames looked at between two false alarms, on average at least.",
    )


class FalseAlarmRules(LineSection):
    """When a camera judges more frames anomalous than the product's `false_alarm_rate` promises."""

    fast: Interval = Field(
        timedelta(hours=1),
        description="The window that says whether it still goes on, and ends the incident.",
    )
    slow: Interval = Field(timedelta(hours=6), description="The window that says whether it matters.")
    burn_rate: float = Field(
        6.0,
        gt=1,
        description="Times the promised rate, in both windows, that open an incident. A product that really "
        "has defects needs more.",
    )
    close_burn_rate: float = Field(
        3.0, gt=0, description="Times the promised rate, in the fast window, below which it is over."
    )
    least_frames: int = Field(
        1000, ge=1, le=1_000_000_000, description="Frames that the fast window must hold to say anything."
    )
    least_runs: int = Field(
        10,
        ge=1,
        le=1_000_000,
        description="Runs of anomalous frames that the fast window must hold; those of one part, or of one "
        "anomaly incident, are one run.",
    )

    @model_validator(mode="after")
    def _fit_together(self) -> "FalseAlarmRules":
        if not self.fast <= self.slow <= 24 * self.fast:
            raise ValueError("slow is from 1 to 24 times as long as fast")
        if self.close_burn_rate > self.burn_rate:
            raise ValueError("close_burn_rate is above burn_rate")
        return self


class ProductAlerts(LineSection):
    """When frames of a product open an incident, how serious it is, and when it is over."""

    open_frames: FrameCount = FrameCount()
    open_parts: PartCount | None = Field(
        PartCount(),
        description="Anomalous parts that open an incident, where frames name their parts; by default 2 of "
        "20, null: never.",
    )
    at_once: float | None = Field(
        2.0,
        gt=1,
        description="One frame opens an incident when its score is beyond so many times the threshold; null: "
        "never.",
    )
    close_frames: int = Field(
        10, ge=1, le=10_000, description="Good frames in a row, none anomalous between them, that close it."
    )
    close_p_value: float = Field(
        0.05,
        ge=0,
        le=1,
        description="Least p-value of a good frame; a normal frame below it neither opens nor closes.",
    )
    severity: SeverityLimits = SeverityLimits()
    drift: DriftRules = DriftRules()
    false_alarms: FalseAlarmRules | None = Field(
        FalseAlarmRules(),
        description="When verdicts break the promised false-alarm rate; by default at 6 times the rate in an "
        "hour and in six, null: never.",
    )
    acknowledge_lapse: Interval = Field(
        timedelta(hours=8), description="How long an acknowledgement holds; then the incident is open again."
    )
    cooldown: Duration = Field(
        timedelta(minutes=1),
        description="Time after a notification in which the next incident of the same kind and camera is not "
        "notified, unless it is more serious.",
    )


class CameraStateRules(LineSection):
    """When the state of a camera opens an incident."""

    open_after: Duration = Field(timedelta(seconds=2), description="How long a bad state must have lasted.")
    close_after: Duration = Field(
        timedelta(seconds=5), description="How long a camera must have been up again."
    )
    silent_after: Interval = Field(
        timedelta(seconds=30), description="A camera of which no status comes for so long counts as down."
    )


class NotificationLimit(LineSection):
    """How often subscribers of the line are notified; a rise of severity and an end always are."""

    cooldown: Duration = Field(
        timedelta(0),
        description="Time after any notification in which a new incident is not notified, unless it is more "
        "serious.",
    )
    most: int = Field(
        30, ge=1, le=10_000, description="Most new incidents that are notified within `within`."
    )
    within: Interval = Field(timedelta(minutes=10), description="The time in which `most` are counted.")


class RetentionRules(LineSection):
    """How long things are kept; null: for ever.

    What belongs to an incident that is not over is kept however old it is.
    """

    incidents: Interval | None = Field(
        timedelta(days=365), description="Resolved incidents with their changes, from their end on."
    )
    deliveries: Interval | None = Field(
        timedelta(days=30), description="What became of deliveries, from the last attempt on."
    )
    evidence: Interval | None = Field(
        timedelta(days=90), description="Pictures and maps of anomalous frames."
    )
    normal_evidence: Interval | None = Field(
        None,
        description="Pictures and maps of the sample of normal frames, which the trainer learns from: give "
        "it longer than a retrained model needs them.",
    )
    audit: Interval | None = Field(timedelta(days=730), description="Who did what.")


class LagRules(LineSection):
    """When the scorers are so far behind that it is an incident."""

    frames: int = Field(
        500,
        ge=1,
        le=1_000_000_000,
        description="Frames that wait for the scorers; it is over at half of them.",
    )
    open_after: Duration = Field(
        timedelta(seconds=30), description="How long so many frames must have waited."
    )
    close_after: Duration = Field(
        timedelta(seconds=30), description="How long no more than half of them must have waited."
    )


class DeadLetterRules(LineSection):
    """When refused messages are an incident."""

    count: int = Field(
        10, ge=1, le=1_000_000, description="Dead letters within `within`; it is over at half of them."
    )
    within: Interval = Field(timedelta(minutes=10), description="The time in which `count` are counted.")


class NoScoresRules(LineSection):
    """When it is an incident that frames come and scores do not."""

    after: Interval = Field(
        timedelta(seconds=30), description="How long no score must have come while frames wait."
    )
    frames: int = Field(
        10,
        ge=1,
        le=1_000_000,
        description="Frames without a score between them that count as waiting although the scorers have "
        "taken them.",
    )
    close_after: Duration = Field(timedelta(seconds=10), description="How long scores must have come again.")


class LineAlerts(LineSection):
    """What holds for the incidents of the whole line."""

    quiet: list[IncidentKind] = Field(
        default_factory=list, description="Kinds of incidents that are recorded and not notified."
    )
    camera_states: CameraStateRules = CameraStateRules()
    notifications: NotificationLimit = NotificationLimit()
    retention: RetentionRules = RetentionRules()
    lag: LagRules = LagRules()
    dead_letters: DeadLetterRules = DeadLetterRules()
    no_scores: NoScoresRules = NoScoresRules()
