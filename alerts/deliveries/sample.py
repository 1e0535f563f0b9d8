"""Sends one subscription a sample at once, outside of the outbox."""

import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from alerts.database.connection import Database
from alerts.database.tables import ChangeRow, IncidentRow, SubscriptionRow
from alerts.deliveries.containment import send_contained
from alerts.deliveries.failure import DeliveryFailed
from alerts.deliveries.parcel import Parcel, ParcelSender
from alerts.subscriptions.store import read_subscription
from steadyline.clock import Clock
from steadyline.contracts.alert import Alert
from steadyline.telemetry.tracing import span

SUBSCRIPTION_UNKNOWN = "subscription_unknown"


@dataclass(frozen=True, slots=True)
class SentSample:
    """What became of a sample."""

    is_delivered: bool
    status: int | None
    reason: str | None
    milliseconds: int
    answer_head: str | None = None


class SampleDelivery:
    """The sample is the newest anomaly of the line, its picture included, under an id of its own."""

    def __init__(self, database: Database, senders: Mapping[str, ParcelSender], clock: Clock) -> None:
        """``senders`` has one for each kind of channel."""
        self._database, self._senders, self._clock = database, senders, clock

    def send_sample(self, subscription_id: str) -> SentSample:
        """Send it and wait; a failure is an outcome. No transaction is open meanwhile."""
        begun = time.monotonic()
        with span("sample", kind="producer") as active:
            parcel = self._parcel(subscription_id, active.traceparent)
            if parcel is None:
                return SentSample(False, None, SUBSCRIPTION_UNKNOWN, 0)
            try:
                receipt = send_contained(self._senders[parcel.subscription.channel.kind], parcel)
            except DeliveryFailed as error:
                active.fail(error.reason)
                return SentSample(False, error.status, error.reason, _since(begun), error.head)
        return SentSample(True, receipt.status, None, _since(begun), receipt.head)

    def _parcel(self, subscription_id: str, traceparent: str) -> Parcel | None:
        now = self._clock.now()
        with self._database.transaction() as session:
            row = session.get(SubscriptionRow, subscription_id)
            if row is None:
                return None
            alert = self._newest_anomaly(session) or _invented(now)
            subscription, secret = read_subscription(row), row.secret
        incident = uuid.uuid4().hex
        sample = alert.model_copy(
            update={
                "incident": incident,
                "sequence": 1,
                "change": "opened",
                "state": "open",
                "at": now,
                "opened_at": now,
                "who": None,
                "comment": None,
                "assigned_to": None,
                "snoozed_until": None,
                "suppressed": 0,
                "summary": f"Sample: {alert.summary}"[:2_000],
                "why": "Somebody asked for a sample of this subscription; nothing has happened.",
            }
        )
        return Parcel(incident, subscription, secret, sample, now, traceparent)

    @staticmethod
    def _newest_anomaly(session: Session) -> Alert | None:
        query = (
            select(ChangeRow.content)
            .join(IncidentRow, IncidentRow.id == ChangeRow.incident)
            .where(IncidentRow.kind == "anomaly")
            .order_by(ChangeRow.id.desc())
            .limit(1)
        )
        content = session.scalar(query)
        return None if content is None else Alert.decode(content.encode())


def _invented(now: object) -> Alert:
    return Alert.model_validate(
        {
            "incident": "0" * 32,
            "sequence": 1,
            "change": "opened",
            "at": now,
            "why": "",
            "notify": True,
            "kind": "anomaly",
            "severity": "info",
            "state": "open",
            "summary": "no anomaly was seen so far",
            "opened_at": now,
        }
    )


def _since(begun: float) -> int:
    return round((time.monotonic() - begun) * 1000)
