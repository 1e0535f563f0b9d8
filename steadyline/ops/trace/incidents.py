"""What incidents a frame was part of, by the topic of alerts, and who was told, by the alerts' API."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

from steadyline.contracts.alert import Alert
from steadyline.contracts.frame import FrameId
from steadyline.errors import MalformedHeaders, MalformedMessage
from steadyline.kafka.broker import Record
from steadyline.kafka.record_times import moment_of

MOST_INCIDENTS = 20
MOST_OF_EPOCH = 10_000  # incidents of one run of a camera that are looked at
MOST_CHANGES = 200  # of one incident that are kept: a stranger may write any number
MOST_DELIVERIES = 200

# How a frame belongs to an incident; ``merged``: it is anomalous, and lies between the first and the last.
FrameRole = Literal["opened", "counted", "worst", "last", "merged"]


class DeliveryReader(Protocol):
    """Where the deliveries of an incident are read."""

    def entries(self, path: str, limit: int, **query: Any) -> Iterable[dict[str, Any]]:
        """Yield the entries of a list."""
        ...


@dataclass(frozen=True, slots=True)
class ChangeSighting:
    """One change of an incident, and when it was on its topic."""

    alert: Alert
    at: datetime


@dataclass(slots=True)
class IncidentSighting:
    """One incident that the frame belongs to; ``deliveries`` is None as long as nobody was asked for them."""

    id: str
    role: FrameRole
    changes: list[ChangeSighting] = field(default_factory=list)
    deliveries: list[dict[str, Any]] | None = None


def incidents_of(records: Iterable[Record], frame: FrameId) -> list[IncidentSighting]:
    """Return the incidents of the kind ``anomaly`` that an anomalous frame belongs to, with their changes."""
    changes: dict[str, list[ChangeSighting]] = {}
    needle = f'"{frame.camera}/{frame.epoch}/'.encode()
    for record in records:
        alert = _alert(record) if needle in (record.value or b"") else None
        if alert is None or (alert.incident not in changes and len(changes) >= MOST_OF_EPOCH):
            continue
        kept = changes.setdefault(alert.incident, [])
        if len(kept) < MOST_CHANGES and alert.sequence not in {one.alert.sequence for one in kept}:
            kept.append(ChangeSighting(alert, moment_of(record)))
    found: list[IncidentSighting] = []
    for id, seen in changes.items():
        role = _role(frame, [one.alert for one in seen])
        if role is not None and len(found) < MOST_INCIDENTS:
            found.append(IncidentSighting(id, role, seen))
    return found


def ask_deliveries(incidents: Iterable[IncidentSighting], reader: DeliveryReader) -> None:
    """Note what became of each incident's deliveries; raises AlertsUnavailable or AlertsRefused."""
    for one in incidents:
        one.deliveries = list(reader.entries("deliveries", MOST_DELIVERIES, incident=one.id))


def _alert(record: Record) -> Alert | None:
    try:
        alert = Alert.decode(record.value)
    except MalformedMessage:
        return None
    return alert if alert.anomaly is not None and record.key == alert.incident.encode() else None


def _role(frame: FrameId, alerts: Sequence[Alert]) -> FrameRole | None:
    """Return how an anomalous frame belongs to an incident; None when it does not."""
    name, found = str(frame), [alert.anomaly for alert in alerts if alert.anomaly is not None]
    if any(
        alert.change == "opened" and alert.anomaly.last_frame == name for alert in alerts if alert.anomaly
    ):
        return "opened"
    if any(facts.worst_frame == name for facts in found):
        return "worst"
    if any(facts.first_frame == name for facts in found):
        return "counted"
    if any(facts.last_frame == name for facts in found):
        return "last"
    return (
        "merged" if any(_is_between(frame, facts.first_frame, facts.last_frame) for facts in found) else None
    )


def _is_between(frame: FrameId, first: str, last: str) -> bool:
    try:
        begin, end = FrameId.parse(first), FrameId.parse(last)
    except MalformedHeaders:
        return False
    return (begin.camera, begin.epoch) == (end.camera, end.epoch) == (frame.camera, frame.epoch) and (
        begin.sequence <= frame.sequence <= end.sequence
    )
