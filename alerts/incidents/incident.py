"""An incident as it stands, and one change of it."""

import hashlib
from dataclasses import dataclass
from typing import Self

from pydantic import AwareDatetime, Field

from steadyline.contracts.alert import (
    Alert,
    AlertChange,
    AnomalyFacts,
    BudgetFacts,
    DriftFacts,
    IncidentKind,
    IncidentState,
    Severity,
)
from steadyline.contracts.message import Part

SEVERITIES: tuple[Severity, ...] = ("info", "warning", "critical")  # ascending


class Incident(Part):
    """One incident after its change number ``sequence``; immutable, each change gives a new one."""

    id: str
    kind: IncidentKind
    severity: Severity
    state: IncidentState
    summary: str
    sequence: int
    opened_at: AwareDatetime
    changed_at: AwareDatetime
    camera: str | None = None
    product: str | None = None
    assigned_to: str | None = None
    acknowledged_at: AwareDatetime | None = None
    snoozed_until: AwareDatetime | None = None
    resolved_at: AwareDatetime | None = None
    anomaly: AnomalyFacts | None = None
    budget: BudgetFacts | None = Field(None, exclude_if=lambda budget: budget is None)
    drift: DriftFacts | None = Field(None, exclude_if=lambda drift: drift is None)
    traceparent: str | None = None  # of the frame that opened it

    @property
    def is_over(self) -> bool:
        """True once it is resolved: nothing merges into it any more."""
        return self.state == "resolved"

    @property
    def frames_seen(self) -> int:
        """Frames that have gone into what it shows: they merge into it without counting its changes up."""
        if self.drift is not None:
            return self.drift.looked_at
        return self.anomaly.frames if self.anomaly is not None else 0

    def with_changes(self, **changes: object) -> Self:
        """Return a copy in which the named fields are replaced."""
        return self.model_copy(update=changes)


@dataclass(frozen=True, slots=True)
class IncidentChange:
    """One change, and the incident as it stands after it.

    ``is_silent`` changes (a frame merged, a peak risen within the same severity) are written to the incident
    and are no ``Alert``; they keep the incident's ``sequence``. All others count it up by one. ``notify`` is
    what the rules want; the notification limit of the line may still hold it back.
    """

    incident: Incident
    change: AlertChange | None  # None when it is silent
    why: str
    notify: bool = True
    who: str | None = None
    comment: str | None = None

    @property
    def is_silent(self) -> bool:
        """True when nothing is told of it."""
        return self.change is None

    def alert(self, notify: bool, suppressed: int = 0) -> Alert:
        """Return the message of a change that is not silent."""
        incident = self.incident
        assert self.change is not None
        return Alert(
            incident=incident.id,
            sequence=incident.sequence,
            change=self.change,
            at=incident.changed_at,
            who=self.who,
            why=self.why[:2_000],
            notify=notify,
            suppressed=suppressed,
            kind=incident.kind,
            severity=incident.severity,
            state=incident.state,
            summary=incident.summary,
            camera=incident.camera,
            product=incident.product,
            opened_at=incident.opened_at,
            assigned_to=incident.assigned_to,
            snoozed_until=incident.snoozed_until,
            comment=self.comment,
            anomaly=incident.anomaly,
            budget=incident.budget,
            drift=incident.drift,
        )


def incident_id(line: str, kind: IncidentKind, scope: str, began: str) -> str:
    """Return an incident's id, the same in a replay.

    ``began`` names the frame, status or event that it began with; ``scope`` is what it is about,
    ``camera/east-1`` for example.
    """
    return hashlib.sha256("\n".join((line, kind, scope, began)).encode()).hexdigest()[:32]
