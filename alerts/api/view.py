"""Incidents and alerts as the API shows them: links of the API in place of addresses of the store."""

from collections.abc import Sequence

from pydantic import AwareDatetime, BaseModel, Field

from alerts.escalation.store import NextStep
from alerts.incidents.incident import Incident
from alerts.incidents.limit import HeldBy
from steadyline.contracts.alert import Alert, AnomalyFacts

BASE = "/api/v1"


class AnomalyView(AnomalyFacts):
    """The frames of an incident, with links to the evidence of the worst one."""

    picture_uri: None = Field(None, exclude=True)
    map_uri: None = Field(None, exclude=True)
    picture: str | None = Field(None, description="Path of the worst frame's picture in this API, when kept.")
    map: str | None = Field(None, description="Path of its map, when kept.")


class EscalationView(BaseModel):
    """Where an incident that nobody has taken is in an escalation chain."""

    chain: str = Field(description="Id of the chain.")
    name: str = Field(description="Its name.")
    step: int = Field(description="The step that comes next, from 1.")
    steps: int = Field(description="Steps of the chain.")
    subscription: str = Field(description="Subscription that is told then.")
    due_at: AwareDatetime = Field(description="When, unless somebody takes the incident before.")


class IncidentView(Incident):
    """An incident as it stands."""

    anomaly: AnomalyView | None = None
    escalations: list[EscalationView] = Field(
        default_factory=list, description="The chains it is on: which step is next, and when."
    )


class AlertView(Alert):
    """One change of an incident, and the incident as it stood after it."""

    anomaly: AnomalyView | None = None
    held_by: HeldBy | None = Field(
        None, description="Why it was not notified, a fixed word; told in a story only."
    )


def incident_view(incident: Incident, escalations: Sequence[NextStep] = ()) -> IncidentView:
    """Return an incident without addresses."""
    rest = incident.model_dump(exclude={"anomaly"})
    return IncidentView(
        **rest,
        anomaly=_anomaly(incident.id, incident.anomaly),
        escalations=[_escalation(one) for one in escalations],
    )


def _escalation(step: NextStep) -> EscalationView:
    return EscalationView(
        chain=step.chain.id,
        name=step.chain.name,
        step=step.step,
        steps=len(step.chain.steps),
        subscription=step.subscription,
        due_at=step.due_at,
    )


def alert_view(alert: Alert, held_by: HeldBy | None = None) -> AlertView:
    """Return a change without addresses; its links lead to the evidence of the incident as it is now."""
    rest = alert.model_dump(exclude={"anomaly"})
    return AlertView(**rest, anomaly=_anomaly(alert.incident, alert.anomaly), held_by=held_by)


def _anomaly(incident: str, facts: AnomalyFacts | None) -> AnomalyView | None:
    if facts is None:
        return None
    rest = facts.model_dump(exclude={"picture_uri", "map_uri"})
    at = f"{BASE}/incidents/{incident}"
    return AnomalyView(
        **rest,
        picture=f"{at}/picture" if facts.picture_uri else None,
        map=f"{at}/map" if facts.map_uri else None,
    )
