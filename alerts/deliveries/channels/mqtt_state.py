"""What is open of each camera, read from the database, as one retained MQTT message a camera tells it."""

import json
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from alerts.database.connection import Database
from alerts.database.incident_store import NOT_OVER
from alerts.database.tables import ChangeRow, IncidentRow
from alerts.deliveries.failure import StateUnknown
from alerts.incidents.incident import SEVERITIES
from alerts.subscriptions.filter import SubscriptionFilter
from steadyline.contracts.headers import format_time
from steadyline.errors import StoreUnavailable

MOST_INCIDENTS = 32  # listed in one state; all are counted


@dataclass(frozen=True, slots=True)
class OpenIncident:
    """An incident that is not resolved."""

    id: str
    kind: str
    severity: str
    state: str
    product: str | None
    camera: str | None
    opened_at: datetime


class CameraStates:
    """Reads states; each is what stands at that moment, whichever alert is being told."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, filter: SubscriptionFilter, cameras: list[str]) -> dict[str, bytes]:
        """Return the state of each camera, of those incidents that the subscription is about.

        The same incidents give the same bytes. Raises StateUnknown while the database is away.
        """
        try:
            with self._database.transaction() as session:
                standing = _standing(session, cameras)
        except StoreUnavailable as error:
            raise StateUnknown(str(error)) from error
        return {camera: _encode(camera, filter, standing[camera]) for camera in cameras}


def changed_cameras(session: Session, after: int) -> tuple[int, set[str]]:
    """Return the number of the last change, and the cameras that changes above ``after`` are about."""
    rows = (
        select(ChangeRow.id, IncidentRow.camera)
        .join(IncidentRow, IncidentRow.id == ChangeRow.incident)
        .where(ChangeRow.id > after)
        .order_by(ChangeRow.id)
        .limit(1_000)
    )
    found = session.execute(rows).all()
    last = found[-1][0] if found else after
    return last, {camera for _, camera in found if camera is not None}


def _standing(session: Session, cameras: list[str]) -> dict[str, list[OpenIncident]]:
    columns = (
        *(IncidentRow.id, IncidentRow.kind, IncidentRow.severity, IncidentRow.state),
        *(IncidentRow.product, IncidentRow.camera, IncidentRow.opened_at),
    )
    rows = (
        select(*columns)
        .where(IncidentRow.state.in_(NOT_OVER), IncidentRow.camera.in_(cameras))
        .order_by(IncidentRow.opened_at, IncidentRow.id)
    )
    found: dict[str, list[OpenIncident]] = defaultdict(list)
    for row in session.execute(rows):
        incident = OpenIncident(*row)
        found[str(incident.camera)].append(incident)
    return found


def _encode(camera: str, filter: SubscriptionFilter, standing: list[OpenIncident]) -> bytes:
    about = [incident for incident in standing if filter.is_about(incident)]
    worst = max((incident.severity for incident in about), key=SEVERITIES.index, default=None)
    state = {
        "camera": camera,
        "severity": worst,
        "since": format_time(about[0].opened_at) if about else None,
        "open": len(about),
        "incidents": [
            {
                "incident": incident.id,
                "kind": incident.kind,
                "severity": incident.severity,
                "state": incident.state,
                "opened_at": format_time(incident.opened_at),
            }
            for incident in about[:MOST_INCIDENTS]
        ],
    }
    return json.dumps(state, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
