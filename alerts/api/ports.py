"""What the API needs of the other rooms, and no more."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sqlalchemy.orm import Session

from alerts.database.incident_store import IncidentCursor, IncidentFilter
from alerts.database.tables import ChangeRow, DeliveryRow
from alerts.deliveries.sample import SentSample
from alerts.incidents.incident import Incident, IncidentChange
from alerts.subscriptions.subscription import Channel, DigestRule, Subscription, SubscriptionFilter
from steadyline.contracts.alert import Alert
from steadyline.contracts.feedback import Feedback


class IncidentReads(Protocol):
    """Incidents and their changes, within the caller's transaction."""

    def find(self, session: Session, id: str) -> Incident | None:
        """Return an incident as it stands."""
        ...

    def find_to_change(self, session: Session, id: str) -> tuple[str, Incident] | None:
        """Return its scope and the incident, which nobody else changes in this transaction."""
        ...

    def page(
        self, session: Session, filter: IncidentFilter, after: IncidentCursor | None, limit: int
    ) -> list[Incident]:
        """Return incidents by descending (opened_at, id), those behind ``after``."""
        ...

    def changes_after(self, session: Session, id: int, limit: int) -> list[tuple[int, Alert]]:
        """Return the changes with a greater number, ascending."""
        ...

    def last_change(self, session: Session) -> int:
        """Return the greatest number of a change; 0 when there is none."""
        ...

    def story(self, session: Session, incident: str) -> list[Alert]:
        """Return every change of an incident, oldest first."""
        ...


class ChangeWrites(Protocol):
    """See ``alerts.database.changes``: incidents, changes and deliveries in the caller's transaction."""

    def write(
        self, session: Session, scope: str, changes: Sequence[IncidentChange], now: datetime
    ) -> list[ChangeRow]:
        """Write changes in order."""
        ...


@dataclass(frozen=True, slots=True)
class SubscriptionEdit:
    """What people say of a subscription."""

    name: str
    enabled: bool
    filter: SubscriptionFilter
    channel: Channel
    digest: DigestRule | None = None


class SubscriptionWrites(Protocol):
    """Subscriptions, within the caller's transaction."""

    def create(
        self, session: Session, edit: SubscriptionEdit, owner: str, now: datetime
    ) -> tuple[Subscription, str]:
        """Return the new subscription, and the secret by which its deliveries are signed."""
        ...

    def find(self, session: Session, subscription_id: str) -> Subscription | None:
        """Return a subscription by its id."""
        ...

    def page(self, session: Session, after: str | None, limit: int) -> list[Subscription]:
        """Return subscriptions by ascending id, those behind ``after``."""
        ...

    def replace(
        self, session: Session, subscription_id: str, version: int, edit: SubscriptionEdit
    ) -> Subscription | None:
        """Replace one that still has ``version``; None when it has another by now, or is gone."""
        ...

    def delete(self, session: Session, subscription_id: str, version: int) -> bool:
        """Delete one that still has ``version``, with its deliveries."""
        ...


class SampleSender(Protocol):
    """Sends a real sample, picture included, outside of the outbox."""

    def send_sample(self, subscription_id: str) -> SentSample:
        """Send it now and wait; a failure is an outcome. Called outside of any transaction."""
        ...


@dataclass(frozen=True, slots=True)
class DeliveryQuery:
    """Which deliveries; None is any."""

    subscription: str | None = None
    incident: str | None = None
    state: str | None = None


class DeliveryReads(Protocol):
    """The outbox, within the caller's transaction."""

    def find(self, session: Session, delivery_id: str) -> DeliveryRow | None:
        """Return a delivery by its id."""
        ...

    def page(
        self, session: Session, chosen: DeliveryQuery, after: tuple[datetime, str] | None, limit: int
    ) -> Sequence[DeliveryRow]:
        """Return deliveries by descending (created_at, id), those behind ``after``."""
        ...

    def redeliver(self, session: Session, delivery_id: str, now: datetime) -> bool:
        """Send one again under its id, whatever became of it; False when there is none."""
        ...

    def replay(
        self, session: Session, subscription_id: str, span: tuple[datetime, datetime], now: datetime
    ) -> int:
        """Send a subscription the changes of a span of time again; returns how many."""
        ...


class FeedbackPublisher(Protocol):
    """Writes labels to their topic."""

    def publish(self, feedback: Feedback) -> None:
        """Write a label and wait until the broker has it; raises BrokerUnavailable when it may not."""
        ...


@dataclass(frozen=True, slots=True)
class AnsweredRequest:
    """What is counted of a request; ``route`` is the path as declared below /api/v1, never as sent."""

    method: str
    route: str
    status: int
    reason: str
    seconds: float


RequestMeter = Callable[[AnsweredRequest], None]
