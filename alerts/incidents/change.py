"""The changes that rules make of incidents."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from alerts.incidents.incident import Incident, IncidentChange, incident_id
from steadyline.contracts.alert import AnomalyFacts, BudgetFacts, DriftFacts, IncidentKind, Severity


@dataclass(frozen=True, slots=True)
class Subject:
    """What an incident is about: a camera with its product, a product, or the line itself."""

    line: str
    product: str | None = None
    camera: str | None = None

    @property
    def scope(self) -> str:
        """The part of an incident's id that says what it is about."""
        if self.product is None:
            return f"line/{self.line}"
        return f"product/{self.product}" if self.camera is None else f"camera/{self.camera}"


@dataclass(frozen=True, slots=True)
class Opening:
    """What opens an incident. ``began`` names the frame, status or change that it began with."""

    kind: IncidentKind
    severity: Severity
    at: datetime
    began: str
    summary: str
    why: str
    budget: BudgetFacts | None = None
    drift: DriftFacts | None = None


def opened(
    subject: Subject, opening: Opening, anomaly: AnomalyFacts | None = None, traceparent: str | None = None
) -> IncidentChange:
    """Return the first change of a new incident."""
    incident = Incident(
        id=incident_id(subject.line, opening.kind, subject.scope, opening.began),
        kind=opening.kind,
        severity=opening.severity,
        state="open",
        summary=opening.summary,
        sequence=1,
        opened_at=opening.at,
        changed_at=opening.at,
        camera=subject.camera,
        product=subject.product,
        anomaly=anomaly,
        budget=opening.budget,
        drift=opening.drift,
        traceparent=traceparent,
    )
    return IncidentChange(incident, "opened", opening.why)


def merged(incident: Incident, at: datetime, why: str) -> IncidentChange:
    """Return the silent change of an incident that already has what is new in it."""
    return IncidentChange(incident.with_changes(changed_at=at), None, why)


def risen(incident: Incident, severity: Severity, at: datetime, why: str) -> IncidentChange:
    """Return the change of an incident that has become more serious; whoever has taken it keeps it."""
    return IncidentChange(_counted(incident, at, severity=severity), "risen", why)


def resolved(incident: Incident, at: datetime, why: str, notify: bool = True) -> IncidentChange:
    """Return the last change of an incident."""
    after = _counted(incident, at, state="resolved", resolved_at=at, snoozed_until=None)
    return IncidentChange(after, "resolved", why, notify)


def woken(incident: Incident, at: datetime, why: str) -> IncidentChange:
    """Return the change of an incident whose snooze is over: it is open again."""
    return IncidentChange(_counted(incident, at, state="open", snoozed_until=None), "woken", why)


def lapsed(incident: Incident, at: datetime, why: str) -> IncidentChange:
    """Return the change of an incident whose acknowledgement no longer holds: it is open again."""
    return IncidentChange(_counted(incident, at, state="open", acknowledged_at=None), "lapsed", why)


def of_kinds(incidents: Iterable[Incident], kinds: Iterable[IncidentKind]) -> list[Incident]:
    """Return the incidents of these kinds that are not over."""
    wanted = frozenset(kinds)
    return [incident for incident in incidents if incident.kind in wanted and not incident.is_over]


def _counted(incident: Incident, at: datetime, **changes: object) -> Incident:
    return incident.with_changes(sequence=incident.sequence + 1, changed_at=at, **changes)
